/**
 * What devices have proven (pure). Only a flash proves capacity: all devices are tested at the same moment, so one GPU behind many
 * names passes for one of them, and what is not there proves nothing. Tests out of turn and tests of newcomers count as tests, not here:
 * they come one after another, and one GPU could pass them all.
 */
import type { DeviceChallenge, Suite, VerdictReason } from '#protocol/challenge/index.ts';
import type { Judged } from './input.ts';
import type { Scoring } from './parameters.ts';

/** What a device proved, and the slot of the flash. */
export interface Proven {
  value: number;
  slot: number;
}

/** Where the edge had no pulse, or wrote down what cannot be, nobody was tested. */
const NOBODYS_TEST: ReadonlySet<VerdictReason> = new Set(['no_pulse', 'bad_record']);

export interface FlashFacts {
  kind: DeviceChallenge;
  judged: readonly Judged[];
  /** Slot of the first sight of each device that was there in the epoch, by `proofKey`. */
  since: ReadonlyMap<string, number>;
  /** What is left of the epoch before. */
  carried: ReadonlyMap<string, Proven>;
  /** Unix seconds. */
  end: number;
  suite: Suite;
  scoring: Scoring;
}

export function proofKey(hotkey: string, target: string): string {
  return `${hotkey} ${target}`;
}

/** By `proofKey`. A device is as good as the newest flash says, for as long as no other comes. */
export function provenBy(facts: FlashFacts): Map<string, Proven> {
  const { carried, end, suite, scoring } = facts;
  const flashes = flashesOf(facts);
  const proven = new Map(carried);
  for (const { slot, tests } of flashes) {
    for (const test of tests) {
      const value = valueOf(test, suite);
      if (value > 0) proven.set(keyOf(test), { value, slot });
      else proven.delete(keyOf(test));
    }
  }
  const newest = Math.max(0, ...[...carried.values()].map((p) => p.slot), ...flashes.map((f) => f.slot));
  // Transcripts of a flash at the end of an epoch may be in the next one's evidence.
  const open = newest + scoring.flash.late * suite.cadence.slotSeconds > end;
  return new Map([...proven].filter(([, p]) => (open || p.slot === newest) && end - p.slot <= scoring.flash.keep));
}

/** The flashes of the epoch, in order, each with the tests that ran at its moment. */
function flashesOf(facts: FlashFacts): { slot: number; tests: Judged[] }[] {
  const { kind, judged, carried } = facts;
  const last = Math.max(0, ...[...carried.values()].map((p) => p.slot));
  const tests = judged.filter((t) => t.kind === kind && t.scheduled && !NOBODYS_TEST.has(t.reason));
  return [...Map.groupBy(tests, (t) => t.slot)]
    .toSorted(([a], [b]) => a - b)
    .filter(([slot, all]) => slot >= last && all.some((t) => isInTurn(t, facts)))
    .map(([slot, all]) => ({ slot, tests: atOnce(all, facts.scoring) }))
    .filter(({ slot, tests }) => slot === last || hasQuorum(slot, tests, facts));
}

/** A scheduled test of a device that is no newcomer is due in flashes only. */
function isInTurn(test: Judged, { kind, since, suite }: FlashFacts): boolean {
  const { newcomer, slotSeconds } = suite.cadence;
  const first = since.get(keyOf(test));
  const ages = kind === 'pow.mm' ? newcomer : newcomer.slice(0, 1);
  return first !== undefined && test.slot >= first && !ages.some((age) => age * slotSeconds === test.slot - first);
}

/** Seeded by the same round: who comes later may have waited for the device of another. */
function atOnce(tests: readonly Judged[], { flash }: Scoring): Judged[] {
  const first = Math.min(...tests.map((t) => t.round));
  return tests.filter((t) => t.round <= first + flash.rounds);
}

/** A slot in which hardly any of the proven devices was tested is somebody's mistake, or somebody's trick on the others. */
function hasQuorum(slot: number, tests: readonly Judged[], { carried, since, scoring }: FlashFacts): boolean {
  const known = [...carried.keys()].filter((key) => (since.get(key) ?? Infinity) <= slot);
  const tested = new Set(tests.map(keyOf));
  return known.filter((key) => tested.has(key)).length * 1000 >= known.length * scoring.flash.quorum;
}

/** A late or a wrong answer is worth nothing: of k names on one GPU, the second ends after twice the time, the third after three times. */
function valueOf(test: Judged, suite: Suite): number {
  if (test.reason !== 'proven') return 0;
  if (test.kind === 'pow.mm') return test.rate ?? 0;
  return suite.classes.find((c) => c.name === test.class)?.memoryMb ?? 0;
}

function keyOf(test: Judged): string {
  return proofKey(test.hotkey, test.target);
}
