/** What a judge's own calls of an epoch came to, miner by miner (pure). What was nobody's doing is not counted. */
import { REASONS, type Observation } from '#protocol/audit.ts';
import type { JudgeCalls } from '#protocol/epoch.ts';
import { median } from '../median.ts';

/** Chutes of one miner that are named. */
const SWAPPED = 64;

/** `observations`: this judge's, of the epoch. `chuteOf`: of an instance. Order and repeats change nothing. */
export function callsOf(observations: readonly Observation[], chuteOf: (instance: string) => string | null): JudgeCalls[] {
  const counted = [...new Map(observations.map((o) => [o.id, o])).values()].filter((o) => REASONS[o.reason] !== 'void');
  return [...Map.groupBy(counted, (o) => o.hotkey)]
    .map(([hotkey, own]) => miner(hotkey, own, chuteOf))
    .toSorted((a, b) => (a.hotkey < b.hotkey ? -1 : 1));
}

function miner(hotkey: string, own: readonly Observation[], chuteOf: (instance: string) => string | null): JudgeCalls {
  const canaries = own.filter((o) => o.type === 'canary' || o.type === 'interfere');
  const pings = own.filter((o) => o.type === 'rtt');
  const good = (of: readonly Observation[]) => of.filter((o) => REASONS[o.reason] === 'merit');
  const swapped = canaries.flatMap((o) => (o.reason === 'swapped' && o.instance !== null ? [chuteOf(o.instance) ?? o.instance] : []));
  return {
    t: 'calls',
    hotkey,
    canaries: canaries.length,
    canaries_ok: good(canaries).length,
    pings: pings.length,
    pings_ok: good(pings).length,
    first_byte_ms: middle(good(canaries).map((o) => o.first_byte_ms)),
    rtt_ms: middle(good(pings).map((o) => o.value_ms)),
    swapped: [...new Set(swapped)].toSorted().slice(0, SWAPPED),
  };
}

function middle(values: readonly (number | null)[]): number | null {
  return median(values.flatMap((value) => (value === null ? [] : [value])));
}
