/** What somebody with a few GPUs can try, and what it brings beside being honest with the same GPUs. */
import { SCORING, type Scoring } from '../../validator-cron/score/parameters.ts';
import { earnings, type Actor, type Bill } from './market.ts';

/** One point of the grid. */
export interface Point {
  /** Thousandths: the fee, what use is paid, what capacity has at least, and what the emission is really worth of what the table says. */
  fee: number;
  usePay: number;
  capacity: number;
  worth: number;
  gpus: number;
  /** Of the self-dealer: USD an hour on its own chute, thousandths of it that it serves itself, coldkeys that it splits into. */
  spend: number;
  share: number;
  coldkeys: number;
  /** Thousandths of calls that the cherry-picker drops. */
  dropped: number;
}

const GRID: { [K in keyof Point]: readonly number[] } = {
  fee: [50, 150, 300],
  usePay: [0, 500, 1_000],
  capacity: [0, 700, 1_000],
  worth: [100, 1_000],
  gpus: [1, 6],
  spend: [1, 30, 1_000],
  share: [10, 100, 330, 660, 1_000],
  coldkeys: [1, 3, 5],
  dropped: [10, 300],
};

/** Every `stride`-th point of the grid. `usePay` is thousandths of the fee there. */
export function* points(stride: number): Generator<Point> {
  const sizes = Object.values(GRID).map((values) => values.length);
  const all = sizes.reduce((product, size) => product * size, 1);
  for (let at = 0; at < all; at += stride) {
    let rest = at;
    const pick = (field: keyof Point): number => {
      const values = GRID[field];
      const value = values[rest % values.length] ?? 0;
      rest = Math.floor(rest / values.length);
      return value;
    };
    const point = {
      share: pick('share'),
      spend: pick('spend'),
      fee: pick('fee'),
      usePay: pick('usePay'),
      coldkeys: pick('coldkeys'),
      capacity: pick('capacity'),
      worth: pick('worth'),
      gpus: pick('gpus'),
      dropped: pick('dropped'),
    };
    yield { ...point, usePay: Math.floor((point.fee * point.usePay) / 1000) };
  }
}

/** What each trick brings more than honesty, USD an hour; negative: it costs. */
export function gains(point: Point): Record<string, number> {
  const scoring: Scoring = { ...SCORING.mainnet, fee: point.fee, usePay: point.usePay, capacity: point.capacity };
  const profit = (mine: readonly Actor[], bills: readonly Bill[] = [], spent = 0) => {
    const all = earnings({ actors: [...mine, ...field()], bills: [...customers(mine), ...bills], scoring, worth: point.worth });
    return mine.reduce((sum, a) => sum + (all.get(a.name) ?? 0), 0) - spent;
  };
  const me: Actor = { name: 'me', coldkey: 'mine', gpus: point.gpus, completed: 1_000, failed: 0 };
  const honest = profit([me]);
  return {
    selfDealing: selfDeal(point, me, profit) - profit(parted(me, point.coldkeys)),
    splitting: profit(parted(me, point.coldkeys)) - honest,
    splittingUnderOneColdkey: profit(parted(me, point.coldkeys).map((a) => ({ ...a, coldkey: 'mine' }))) - honest,
    merging: profit([me, twin(me, 'mine')]) - profit([me, twin(me, 'other')]),
    cherryPicking: profit([{ ...me, completed: 1_000 - point.dropped, failed: point.dropped }]) - honest,
    oneGpuManyNames: profit([{ ...me, gpus: me.gpus * 4, real: me.gpus }]) - honest,
    otherBytes: profit([{ ...me, clean: false }]) - honest,
  };
}

/** Calls to a chute of its own, from as many payers as it takes, which its own devices serve in part. */
function selfDeal(point: Point, me: Actor, profit: (mine: Actor[], bills: Bill[], spent: number) => number): number {
  const mine = parted(me, point.coldkeys);
  const payers = Array.from({ length: 1 + Math.ceil(point.spend / 20) }, (_, i) => `self${i}`);
  const bills = payers.flatMap((payer) => [
    ...mine.map((a) => ({ chute: 'own', payer, hotkey: a.name, usd: (point.spend * point.share) / 1000 / payers.length / mine.length })),
    ...field().map((a) => ({
      chute: 'own',
      payer,
      hotkey: a.name,
      usd: (point.spend * (1_000 - point.share)) / 1000 / payers.length / 5,
    })),
  ]);
  return profit(mine, bills, point.spend);
}

function field(): Actor[] {
  return ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, coldkey: `cold${name}`, gpus: 2, completed: 500, failed: 5 }));
}

/** What others spend, on a chute that all serve by their GPUs. */
function customers(mine: readonly Actor[]): Bill[] {
  const all = [...mine, ...field()];
  const gpus = all.reduce((sum, a) => sum + (a.real ?? a.gpus), 0);
  return ['x', 'y', 'z'].flatMap((payer) =>
    all.map((a) => ({ chute: 'public', payer, hotkey: a.name, usd: (40 * (a.real ?? a.gpus)) / gpus })),
  );
}

/** The same GPUs behind several coldkeys; some have one more than others. */
function parted(me: Actor, into: number): Actor[] {
  const parts = Array.from({ length: Math.min(into, me.gpus) }, (_, i) => ({
    ...me,
    name: `${me.name}${i}`,
    coldkey: `${me.coldkey}${i}`,
  }));
  return parts.map((a, i) => {
    const gpus = Math.floor(me.gpus / parts.length) + (i < me.gpus % parts.length ? 1 : 0);
    return { ...a, gpus, completed: Math.floor((me.completed * gpus) / me.gpus), failed: Math.floor((me.failed * gpus) / me.gpus) };
  });
}

function twin(me: Actor, coldkey: string): Actor {
  return { ...me, name: 'twin', coldkey, completed: 900, failed: 100 };
}
