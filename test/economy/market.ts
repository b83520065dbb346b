/** An hour of a network as its files tell it, and what each side earns: emission, calls, less what it pays itself. */
import { MAINNET } from '#protocol/challenge/index.ts';
import { SHARE, type Scoring } from '../../validator-cron/score/parameters.ts';
import { scoreWindow } from '../../validator-cron/score/score.ts';
import { summarise } from '../../validator-cron/score/summarise.ts';
import { input, key, presence, served, START, trial } from '../unit/score/made.ts';

const USD = 1_000_000_000;

/** A hotkey of the hour, with H100s of its own. */
export interface Actor {
  name: string;
  coldkey: string;
  gpus: number;
  completed: number;
  failed: number;
  /** GPUs that pass the flash, where not all do. */
  real?: number;
  /** Of the tests that are not flashes. */
  clean?: boolean;
}

/** What `payer` spends on calls of a chute at a hotkey, USD. */
export interface Bill {
  chute: string;
  payer: string;
  hotkey: string;
  usd: number;
}

/** USD of the hour by hotkey. `worth`: what an hour's emission is really worth, thousandths of what the table says. */
export function earnings(of: { actors: readonly Actor[]; bills: readonly Bill[]; scoring: Scoring; worth: number }): Map<string, number> {
  const { actors, bills, worth } = of;
  // One epoch that stands for all: a steady state is the same over any window.
  const scoring: Scoring = { ...of.scoring, window: 1 };
  const devices = actors.flatMap((a) =>
    Array.from({ length: a.gpus }, (_, i) => ({ actor: a, target: `${a.name}/${i}`, real: i < (a.real ?? a.gpus) })),
  );
  const made = summarise(
    input({
      scoring,
      suite: MAINNET,
      presence: devices.map(({ actor, target }) => presence(actor.name, target)),
      trials: devices.flatMap(({ actor, target, real }) => [
        trial(actor.name, target, { reason: real ? 'proven' : 'too_slow' }),
        trial(actor.name, target, { kind: 'pow.mem', rate: 1 }),
        ...(actor.clean === false ? [trial(actor.name, target, { kind: 'fs', reason: 'wrong_bytes' })] : []),
      ]),
      uses: bills.map(({ usd, ...bill }) => ({
        t: 'use',
        ...bill,
        hotkey: key(bill.hotkey),
        nanousd: String(Math.round(usd * USD)),
        linked: false,
      })),
      served: actors.map((a) => served(a.name, a.completed, a.failed)),
      calls: actors.map((a) => ({
        t: 'calls',
        hotkey: key(a.name),
        canaries: 200,
        canaries_ok: 200,
        pings: 60,
        pings_ok: 60,
        first_byte_ms: 300,
        rtt_ms: 50,
        swapped: [],
      })),
      neurons: actors.map((a, uid) => ({ t: 'neuron', uid, hotkey: key(a.name), coldkey: key(a.coldkey), permit: false })),
      head: { epoch: START, seconds: 3600 },
    }),
  );
  const emission = (scoring.emissionPerHour / USD) * (worth / 1000);
  const shares = new Map(scoreWindow([made], scoring).map((s) => [s.hotkey, s.share / SHARE]));
  return new Map(
    actors.map((a) => {
      const paid = bills.filter((b) => b.hotkey === a.name).reduce((sum, b) => sum + b.usd, 0);
      return [a.name, (shares.get(key(a.name)) ?? 0) * emission + paid * (1 - scoring.fee / 1000)];
    }),
  );
}
