/** Slots and epochs out of a time (pure). Both are named by the Unix second they start at. */

export interface Moment {
  /** The slot that holds the time. */
  round: number;
  epoch: number;
}

export function momentAt(atMs: number, slotSeconds: number, epochSeconds: number): Moment {
  const second = Math.floor(atMs / 1000);
  const round = second - (second % slotSeconds);
  return { round, epoch: round - (round % epochSeconds) };
}
