/**
 * Agents that cheat, each against the real judge: D1–D6 and D17 of the suite, and ways round the commit. Every one says how it
 * plays a challenge; what becomes of it is counted.
 */
import { forgeMm, type Forgery, type Leaf } from './forge.ts';
import { ask, commit, honest, opened, play, pulse, sha256, type Asked, type Judge, type TestAgent } from './stage.ts';
import { mix } from '#protocol/challenge/mix.ts';
import type { Verdict } from '#protocol/challenge/verdict.ts';

export interface Try {
  agent: TestAgent;
  /** Another miner. */
  other: TestAgent;
  nth: number;
  judge: Judge;
}

export interface Cheat {
  name: string;
  /** Verdicts on one challenge (or on as many as were played of it). */
  play(one: Try): Verdict[];
  /** The share that gets through at most, in expectation: of the parts left out, sixteen samples hit none. */
  escapes: number;
}

/** Draws of samples from one forged work: what is sampled is what decides, so a work serves for many. */
const WORLDS = 10;

const DONE = [20, 50, 80, 90] as const;
/** Of a `long`. */
const STEPS = 32;
const ROWS = 128;
const TILES = 4;

/** Which of `count` are done, as many as the hundredths say; without an order that sampling could miss. */
function chosen(nth: number, count: number, hundredths: number): Set<number> {
  const rank = (one: number): number => mix((one ^ Math.imul(nth + 1, 0x9e3779b9)) | 0);
  const all = Array.from({ length: count }, (_, one) => one).sort((a, b) => rank(a) - rank(b));
  return new Set(all.slice(0, Math.floor((count * hundredths) / 100)));
}

const garbage = ({ step, row, tile }: Leaf): number => (step * 73_856_093) ^ (row * 19_349_663) ^ (tile * 83_492_791);

/** `place`: which of `count` equal parts of the work a leaf is in. */
function partly(parts: string, hundredths: number, count: number, place: (leaf: Leaf) => number): Cheat {
  const forgery = (nth: number): Forgery => {
    const done = chosen(nth, count, hundredths);
    return { leaf: (leaf) => (done.has(place(leaf)) ? leaf.right : garbage(leaf)) };
  };
  return forged(`D2 ${hundredths} % of the ${parts} done`, 'long', forgery, (hundredths / 100) ** 16);
}

function forged(name: string, device: string, forgery: (nth: number) => Forgery, escapes = 0): Cheat {
  return {
    name,
    escapes,
    play: ({ agent, nth, judge }) => {
      const asked = ask(agent, device, nth);
      const proof = forgeMm(asked.work, forgery(nth));
      return Array.from({ length: WORLDS }, (_, world) => {
        const { transcript, bytes } = play(agent, asked, proof, { world });
        return judge(transcript, bytes, world);
      });
    },
  };
}

function single(name: string, how: (one: Try, asked: Asked) => Verdict | Verdict[]): Cheat {
  return { name, escapes: 0, play: (one) => [how(one, ask(one.agent, 'small', one.nth))].flat() };
}

export const CHEATS: readonly Cheat[] = [
  forged('D1 random leaves', 'swift', () => ({ leaf: garbage })),
  ...DONE.flatMap((share) => [
    partly('leaves', share, STEPS * ROWS * TILES, ({ step, row, tile }) => ((step - 1) * ROWS + row) * TILES + tile),
    partly('rows', share, ROWS, ({ row }) => row),
    partly('steps', share, STEPS, ({ step }) => step - 1),
  ]),
  partly('columns', 75, TILES, ({ tile }) => tile),
  single('D3 the transcript of an earlier challenge again', ({ agent, nth, judge }, asked) => {
    const proof = honest(ask(agent, 'small', nth + 1_000_000).work);
    const { transcript, bytes } = play(agent, asked, proof);
    return judge(transcript, bytes);
  }),
  // Of so many steps the first one, which alone begins with the seed, is mostly not sampled.
  single('D3 the work of another miner', ({ agent, other, nth, judge }) => {
    const { transcript, bytes } = play(agent, ask(agent, 'long', nth), honest(ask(other, 'long', nth).work));
    return judge(transcript, bytes);
  }),
  forged('D4 one A for all steps', 'swift', () => ({ before: () => new Uint8Array(32) })),
  forged('D4 A of the first step again and again', 'swift', () => {
    let first: Uint8Array | null = null;
    return { before: (digest) => (first ??= digest) };
  }),
  forged('D4 B of an earlier round', 'swift', () => ({ shared: new Uint8Array(32).fill(7) })),
  single('D5 twice as late', ({ agent, judge }, asked) => {
    const { transcript, bytes } = play(agent, asked, honest(asked.work), { afterMs: 8_000 });
    return judge(transcript, bytes);
  }),
  {
    name: 'D6 one device behind four hotkeys, in one flash',
    // One of four is honest: the others wait for the device.
    escapes: 0.25,
    play: ({ agent, nth, judge }) =>
      [1, 2, 3, 4].map((turn) => {
        const asked = ask(agent, 'small', nth * 4 + turn);
        const { transcript, bytes } = play(agent, asked, honest(asked.work), { afterMs: turn * 3_900 });
        return judge(transcript, bytes);
      }),
  },
  single('D17 a round trip made long', ({ agent, judge }, asked) => {
    const slow = { ...asked, transcript: { ...asked.transcript, rtt_ms: 5_000 } };
    const { transcript, bytes } = play(agent, slow, honest(asked.work), { afterMs: 5_000 + 4_700 });
    return judge(transcript, bytes);
  }),
  single('opens another work than it committed to', ({ agent, judge }, asked) => {
    const committed = commit(agent, asked, sha256('another root'), 3_900);
    const bytes = honest(asked.work).open(pulse(committed.sample?.round ?? 0).randomness);
    return judge(opened(committed, bytes), bytes);
  }),
  single('opens less than is asked', ({ agent, judge }, asked) => {
    const { transcript, bytes } = play(agent, asked, honest(asked.work));
    const less = bytes.subarray(0, -1);
    return judge(opened(transcript, less), less);
  }),
  single('commits under the key of another session', ({ agent, other, judge }, asked) => {
    const { transcript, bytes } = play({ ...agent, sign: other.sign }, asked, honest(asked.work));
    return judge(transcript, bytes);
  }),
  single('names a round that is not out', ({ agent, judge }, asked) => {
    const proof = honest(asked.work);
    const committed = commit(agent, asked, proof.root, 3_900, { seen: asked.transcript.round + 100 });
    const bytes = proof.open(pulse(committed.sample?.round ?? 0).randomness);
    return judge(opened(committed, bytes), bytes);
  }),
  single('is gone once the samples are named', ({ agent, judge }, asked) => {
    const committed = commit(agent, asked, sha256('nothing'), 3_900);
    return judge({ ...committed, end: 'disconnected' }, null);
  }),
];
