/**
 * A trial has two steps, some minutes apart: a load beside the device's work, told as it was measured; and, once the work is judged, what
 * both did to each other. Between them nothing is remembered but what was told. Both have the round of the load, so the first word stands.
 */
import { challengeId } from '#protocol/challenge/index.ts';
import {
  observationId,
  REASONS,
  type AuditAgent,
  type Load,
  type Observation,
  type Reason,
  type StoredObservation,
} from '#protocol/audit.ts';
import type { Bench } from '../bench.ts';
import { dueIn } from '../challenges/ask.ts';
import type { Moment } from '../clock.ts';
import { fanOut } from '../fan-out.ts';
import { rankOf } from '../rank.ts';
import { interference, settle, type Worked } from './decide.ts';
import { devicesOf, draw, loadTimes, openTrials, TRIAL_EVERY, type Drawn } from './draw.ts';
import { CLOCK, load, type Clock } from './load.ts';

/** Epochs in which trials of an instance are looked for, with this one. */
const LOOK_BACK = 3;
/** Milliseconds after a load: whose verdicts are missing then counts as not measured; and when it is too late to say anything. */
const WAIT_MS = 300_000;
const LATE_MS = 540_000;
/** Loads that one tick decides on. */
const MOST_DECIDED = 8;
/** Seconds in which a device's proofs without load lie, and how many of the newest count. */
const BASELINE_S = 3 * 86_400;
const BASELINE = 15;

/** An instance to put under load, and the devices that work meanwhile. */
export interface Trial extends Drawn {
  devices: string[];
}

export interface Trials {
  /** This judge's, of both steps. */
  own: StoredObservation[];
  due: Trial | null;
}

export const NO_TRIALS: Trials = { own: [], due: null };

/** What there is to do; `beacon`: of the slot. Throws `EdgeError` or `BeaconError`. */
export async function trialsOf(bench: Bench, { round, epoch }: Moment, agents: readonly AuditAgent[], beacon: string): Promise<Trials> {
  const { config, edge, feed } = bench;
  const every = TRIAL_EVERY[config.suite.name];
  if (every === 0 || config.apiKey === null) return NO_TRIALS;
  const epochs = Array.from({ length: LOOK_BACK }, (_, back) => epoch - back * config.epochSeconds).filter((start) => start >= 0);
  const own = (await Promise.all(epochs.map((start) => edge.observations(start, ['load', 'interfere'])))).flat();
  const suspects = new Set(own.flatMap((o) => (o.instance !== null && openTrials(own, o.instance).length > 0 ? [o.instance] : [])));
  const drawn = draw(agents, { beacon, secret: config.hotkey.secretFor('interfere'), every, suspects });
  if (drawn === null) return { own, due: null };
  const targets = await feed.targets();
  const devices = devicesOf(targets, drawn.agent, round);
  const tested = await dueIn(bench, round, devices);
  const due = devices.length === 0 || tested.length > 0 ? null : { ...drawn, devices: devices.map((d) => d.target) };
  return { own, due };
}

/** Observations that were made. Throws `EdgeError`. */
export async function interfere(bench: Bench, moment: Moment, { own, due }: Trials, clock: Clock = CLOCK): Promise<Observation[]> {
  const [decided, loaded] = await Promise.all([decideOpen(bench, own, clock), due === null ? [] : put(bench, moment, due, clock)]);
  return [...decided, ...loaded];
}

async function decideOpen(bench: Bench, own: readonly StoredObservation[], clock: Clock): Promise<Observation[]> {
  const open = own.filter((o) => isOpen(o, own, clock.now())).slice(0, MOST_DECIDED);
  const decided = (await fanOut(open, (o) => decide(bench, o, own, clock))).flatMap((o) => o ?? []);
  await bench.edge.postObservations(decided);
  return decided;
}

/** Has the devices work, and loads the instance from some seconds before. Nothing is told where no device would work. */
async function put(bench: Bench, moment: Moment, due: Trial, clock: Clock): Promise<Observation[]> {
  const { edge, feed, beacon, config, signal } = bench;
  const slot = moment.round;
  const states = await feed.ask(
    slot,
    due.devices.map((target) => ({ kind: 'pow.mm', target })),
  );
  const proofs = due.devices.filter((_, at) => states[at]?.startsWith('refused') === false).map((d) => challengeId('pow.mm', d, slot));
  if (proofs.length === 0) return [];
  const times = loadTimes(beacon.chain, config.suite, slot);
  const rank = rankOf(config.hotkey.secretFor('interfere'), String(slot), due.instance.instance);
  const measured = await load(edge, { drawn: due, rank, ...times }, clock, signal);
  const compared: Load = { ...measured, proofs };
  const of = { agent: due.agent, hotkey: due.hotkey, instance: due.instance.instance, ...moment };
  const loaded = observation(bench, { ...of, type: 'load', reason: 'loaded', compared, value_ms: times.to - times.from, at: clock.now() });
  await edge.postObservations([loaded]);
  return [loaded];
}

/** Told long enough ago to be judged, and not decided on. */
function isOpen(o: StoredObservation, own: readonly StoredObservation[], now: number): boolean {
  if (o.type !== 'load' || now - o.at > LATE_MS) return false;
  return !own.some((other) => other.type === 'interfere' && other.round === o.round && other.instance === o.instance);
}

/** Null: the work is not judged yet. */
async function decide(bench: Bench, told: StoredObservation, own: readonly StoredObservation[], clock: Clock): Promise<Observation | null> {
  const { agent, hotkey, instance, epoch, round, compared } = told;
  if (instance === null || compared === null || !('proofs' in compared)) return null;
  const verdicts = (await bench.feed.verdicts({ from: round, to: round + 1 }, hotkey)).filter((v) => compared.proofs.includes(v.id));
  if (verdicts.length < compared.proofs.length && clock.now() - told.at < WAIT_MS) return null;
  const found = interference(compared, await workedOf(bench, { hotkey, round, verdicts }));
  const before = openTrials(own, instance).flatMap((o) => (o.compared !== null && 'idle' in o.compared ? [o.compared.end] : []));
  const reason = settle([...before, found.end]);
  return observation(bench, {
    agent,
    hotkey,
    instance,
    epoch,
    round,
    type: 'interfere',
    reason,
    compared: found,
    value_ms: null,
    at: clock.now(),
  });
}

interface WorkedAsk {
  hotkey: string;
  round: number;
  verdicts: Awaited<ReturnType<Bench['feed']['verdicts']>>;
}

/** Right work only, in time or late; what a device did before is of its proofs that were in time. */
async function workedOf({ feed }: Bench, { hotkey, round, verdicts }: WorkedAsk): Promise<Worked[]> {
  const right = verdicts.filter((v) => (v.reason === 'proven' || v.reason === 'too_slow') && v.rate !== null);
  if (right.length === 0) return [];
  const earlier = (await feed.verdicts({ from: Math.max(0, round - BASELINE_S), to: round }, hotkey)).filter(
    (v) => v.kind === 'pow.mm' && v.reason === 'proven',
  );
  const worked = await fanOut(right, async ({ id, target, rate }): Promise<Worked[]> => {
    const { sent_at: sentAt, commit } = await feed.transcript(id);
    const idle = earlier.flatMap((v) => (v.target === target && v.rate !== null ? [v.rate] : [])).slice(-BASELINE);
    return commit === null ? [] : [{ device: target, idle, loaded: rate ?? 0, sentAt, committedAt: commit.at }];
  });
  return worked.flat();
}

type Told = Pick<Observation, 'agent' | 'hotkey' | 'epoch' | 'round' | 'type' | 'compared' | 'value_ms' | 'at'> & {
  instance: string;
  reason: Reason;
};

function observation({ config }: Bench, told: Told): Observation {
  const id = observationId({ judge: config.hotkey.ss58, type: told.type, round: told.round, target: told.instance });
  return { ...told, id, ok: REASONS[told.reason] === 'merit', first_byte_ms: null, tokens: null, call: null };
}
