/**
 * Shares of the emission out of the summaries of a window (pure, integers only).
 *
 *   share = gate × quality × (capacity + use)      quality = tests × calls × latency
 *
 * Shares are absolute: what nobody earned is nobody's (`weigh` burns it), so another's bad quality is no one's gain, and what a
 * call brings in emission is at most the fee on it. Who is behind several hotkeys is judged as one.
 */
import type { MinerSummary, Summary } from '#protocol/epoch.ts';
import { FULL, SHARE, type Scoring } from './parameters.ts';
import { callMarks, testMarks, type Count } from './rate.ts';

export interface MinerScore {
  hotkey: string;
  /** Who is behind it in the newest summary that has it. */
  entity: string;
  /** Of `SHARE`. */
  share: number;
  /** False: a hard verdict on its entity, or on it, within the window. The share is 0. */
  clean: boolean;
  /** How well it serves, of `FULL`: its latency, and tests × calls of its own, at most those of its entity as a whole. */
  quality: number;
  tests: number;
  calls: number;
  latency: number;
  /** Before quality, of `SHARE`: by its proven devices, and by its use. */
  capacity: number;
  use: number;
}

/** One score per miner of the window, by hotkey. Order and repetition of summaries change nothing. */
export function scoreWindow(summaries: readonly Summary[], scoring: Scoring): MinerScore[] {
  const window = windowOf(summaries, scoring);
  const { miners, unclean } = gather(window);
  const entities = [...Map.groupBy(miners, (m) => m.entity).values()].map((own) => ({
    own,
    clean: !own.some((m) => unclean.has(m.hotkey)),
  }));
  const pots = potsOf(
    entities.filter((e) => e.clean).flatMap((e) => e.own),
    window.at(-1)?.seconds ?? 0,
    scoring,
  );
  return entities
    .flatMap(({ own, clean }) => {
      // Splitting up does not hide a bad part, and merging does not lend it the marks of a good one.
      const most = reliability(own, scoring).marks;
      return own.map((m): MinerScore => {
        const { tests, calls, marks } = reliability([m], scoring);
        const latency = m.timed === 0 ? scoring.latency.floor : Math.floor(m.latency / m.timed);
        const quality = ofFull(Math.min(marks, most), latency);
        const { capacity, use } = clean ? partsOf(m, pots) : NOTHING;
        const share = Number(((capacity + use) * BigInt(quality)) / BigInt(FULL));
        const parts = { capacity: Number(capacity), use: Number(use) };
        return { hotkey: m.hotkey, entity: m.entity, share, clean, quality, tests, calls, latency, ...parts };
      });
    })
    .toSorted((a, b) => (a.hotkey < b.hotkey ? -1 : 1));
}

/** The newest summary and those of the `window` before it, oldest first. Of two of one epoch, the one with the lower hashes. */
function windowOf(summaries: readonly Summary[], { window }: Scoring): Summary[] {
  const rank = (s: Summary): string => `${s.evidence} ${s.findings} ${s.previous}`;
  const byEpoch = new Map<number, Summary>();
  for (const s of summaries) {
    const other = byEpoch.get(s.epoch);
    if (other === undefined || rank(s) < rank(other)) byEpoch.set(s.epoch, s);
  }
  const all = [...byEpoch.values()].toSorted((a, b) => a.epoch - b.epoch);
  const newest = all.at(-1);
  return newest === undefined ? [] : all.filter((s) => s.epoch > newest.epoch - window * newest.seconds);
}

/** A miner over the whole window. */
interface Miner {
  hotkey: string;
  entity: string;
  proven: bigint;
  use: bigint;
  tests: Count;
  calls: Count;
  latency: number;
  timed: number;
}

/** `unclean`: hotkeys with a hard verdict, and all that were behind one coldkey with them. */
function gather(window: readonly Summary[]): { miners: Miner[]; unclean: Set<string> } {
  const miners = new Map<string, Miner>();
  const dirt = new Set<string>();
  const behind = new Map<string, Set<string>>();
  for (const line of window.flatMap((s) => s.miners)) {
    miners.set(line.hotkey, added(miners.get(line.hotkey), line));
    const entities = behind.get(line.hotkey) ?? new Set();
    behind.set(line.hotkey, entities.add(line.entity));
    if (!line.clean) dirt.add(line.hotkey);
  }
  const guilty = new Set([...dirt].flatMap((hotkey) => [...(behind.get(hotkey) ?? [])]));
  // Who was with a guilty one at any time of the window does not get away by leaving it.
  const unclean = [...behind].filter(([, entities]) => [...entities].some((e) => guilty.has(e))).map(([hotkey]) => hotkey);
  return { miners: [...miners.values()], unclean: new Set(unclean) };
}

function added(miner: Miner | undefined, line: MinerSummary): Miner {
  return {
    hotkey: line.hotkey,
    entity: line.entity,
    proven: (miner?.proven ?? 0n) + BigInt(line.proven),
    use: (miner?.use ?? 0n) + BigInt(line.use),
    tests: { all: (miner?.tests.all ?? 0) + line.tests, ok: (miner?.tests.ok ?? 0) + line.tests_ok },
    calls: { all: (miner?.calls.all ?? 0) + line.calls, ok: (miner?.calls.ok ?? 0) + line.calls_ok },
    latency: (miner?.latency ?? 0) + (line.timed > 0 ? line.latency : 0),
    timed: (miner?.timed ?? 0) + line.timed,
  };
}

/** Of one miner, or of several as if they were one. */
function reliability(own: readonly Miner[], scoring: Scoring): { tests: number; calls: number; marks: number } {
  const count = (of: (m: Miner) => Count): Count => ({
    all: own.reduce((sum, m) => sum + of(m).all, 0),
    ok: own.reduce((sum, m) => sum + of(m).ok, 0),
  });
  const tests = testMarks(
    count((m) => m.tests),
    scoring,
  );
  const calls = callMarks(count((m) => m.calls));
  return { tests, calls, marks: ofFull(tests, calls) };
}

/** Marks of marks. Both are at most `FULL`, so the product is exact. */
function ofFull(a: number, b: number): number {
  return Math.floor((a * b) / FULL);
}

interface Pots {
  /** What is for capacity, of `SHARE`, and everybody's proven seconds. */
  capacity: bigint;
  proven: bigint;
  /** What all use gets, of `SHARE`, and how much use that is. */
  use: bigint;
  used: bigint;
}

/** Use takes what its pay comes to, up to its bound; all the rest is for capacity. */
function potsOf(miners: readonly Miner[], seconds: number, scoring: Scoring): Pots {
  const emission = BigInt(scoring.emissionPerHour) * BigInt(scoring.window) * BigInt(seconds);
  const used = miners.reduce((sum, m) => sum + m.use, 0n);
  const due = emission === 0n ? 0n : (used * BigInt(scoring.usePay) * BigInt(SHARE) * 3600n) / (emission * 1000n);
  const most = (BigInt(SHARE) * BigInt(1000 - scoring.capacity)) / 1000n;
  const use = due < most ? due : most;
  return { capacity: BigInt(SHARE) - use, proven: miners.reduce((sum, m) => sum + m.proven, 0n), use, used };
}

interface Parts {
  capacity: bigint;
  use: bigint;
}

const NOTHING: Parts = { capacity: 0n, use: 0n };

function partsOf(miner: Miner, pots: Pots): Parts {
  return {
    capacity: pots.proven === 0n ? 0n : (pots.capacity * miner.proven) / pots.proven,
    use: pots.used === 0n ? 0n : (pots.use * miner.use) / pots.used,
  };
}
