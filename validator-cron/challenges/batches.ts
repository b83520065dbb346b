/** What is still to be judged, in parts that one invocation can take (pure). */
import type { Transcript } from '#protocol/challenge/index.ts';

/** Transcripts of one part: some seconds of CPU at most. */
const PART = 16;
/** Parts of one tick, where it shares them out and where it is alone. The next tick goes on. */
export const MOST_PARTS = { shared: 64, alone: 4 } as const;

/** By round first, so that the tiles of B that a round shares are made once per part. */
export function batches(transcripts: readonly Transcript[], judged: ReadonlySet<string>, most: number): string[][] {
  const open = new Map(transcripts.filter((t) => !judged.has(t.id)).map((t) => [t.id, t]));
  const ordered = [...open.values()].toSorted(
    (a, b) => a.round - b.round || (a.profile === b.profile ? 0 : a.profile < b.profile ? -1 : 1),
  );
  return Array.from({ length: Math.min(most, Math.ceil(ordered.length / PART)) }, (_, i) =>
    ordered.slice(i * PART, (i + 1) * PART).map((t) => t.id),
  );
}
