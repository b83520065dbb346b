/** Rounds and epochs out of a time (pure). A round is a minute; an epoch is named by the Unix second it starts at. */

const ROUND_MS = 60_000;

/** Rounds into an epoch during which the one before is scored again, so that its last observations count. */
const CLOSING_ROUNDS = 3;

export interface Moment {
  round: number;
  epoch: number;
}

export function momentAt(atMs: number, epochSeconds: number): Moment {
  const round = Math.floor(atMs / ROUND_MS);
  const second = (round * ROUND_MS) / 1000;
  return { round, epoch: second - (second % epochSeconds) };
}

/** The epochs to score in this round, oldest first. */
export function epochsToScore(moment: Moment, epochSeconds: number): number[] {
  const into = moment.round - (moment.epoch * 1000) / ROUND_MS;
  return into < CLOSING_ROUNDS ? [moment.epoch - epochSeconds, moment.epoch] : [moment.epoch];
}
