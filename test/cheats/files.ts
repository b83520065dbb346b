/** Agents that have not got the files, each against the real judge: D7 and D8 of the suite, and ways round them. */
import { encodePossession, leafHash, leafOf, pathOf, possessionSamples, rootOf } from '#protocol/challenge/possession.ts';
import { challengeId, challengeSeed, type Transcript } from '#protocol/challenge/transcript.ts';
import { ask, opened, pulse, type TestAgent } from './stage.ts';

const LEAVES = 100;
const INSTANCE = 'ins_1';

/** The one file of a version, as leaves. */
function version(number: number): Uint8Array[] {
  return Array.from({ length: LEAVES }, (_, k) => leafOf('model.bin', k, Buffer.alloc(4096, `version ${number}, piece ${k}`)));
}

const hashesOf = (leaves: readonly Uint8Array[]) => leaves.map((leaf) => leafHash(leaf));

/** What an agent holds, and what it makes of the leaves that are asked for. */
interface Files {
  name: string;
  open: (samples: readonly number[], right: readonly Uint8Array[], nth: number) => Uint8Array;
}

const opening = (samples: readonly number[], leaves: readonly Uint8Array[], hashes: readonly Uint8Array[]) =>
  encodePossession(samples.map((k) => ({ leaf: leaves[k] ?? new Uint8Array(), path: pathOf(hashes, k) })));

export const HONEST: Files = { name: 'honest', open: (samples, right) => opening(samples, right, hashesOf(right)) };

export const CHEATS: readonly Files[] = [
  {
    name: 'D7 leaves of another version, with their own paths',
    open: (samples) => opening(samples, version(2), hashesOf(version(2))),
  },
  {
    name: 'D7 one leaf of another version, with the paths of this one',
    open: (samples, right, nth) => {
      const at = samples[nth % samples.length] ?? 0;
      const leaves = right.map((leaf, k) => (k === at ? (version(2)[k] ?? leaf) : leaf));
      return opening(samples, leaves, hashesOf(right));
    },
  },
  {
    name: 'D8 hashes of the leaves instead of their bytes',
    open: (samples, right) => opening(samples, hashesOf(right), hashesOf(right)),
  },
  {
    name: 'D8 a node of the tree and what lies under it as a leaf',
    open: (samples, right) => {
      const hashes = hashesOf(right);
      const pairs = hashes.map((_, k) => Buffer.concat([hashes[k & ~1] ?? Buffer.of(), hashes[k | 1] ?? Buffer.of()]));
      return opening(samples, pairs, hashes);
    },
  },
  {
    name: 'the leaf beside the one that was asked for',
    open: (samples, right) => {
      const hashes = hashesOf(right);
      return encodePossession(samples.map((k) => ({ leaf: right[k ^ 1] ?? new Uint8Array(), path: pathOf(hashes, k ^ 1) })));
    },
  },
];

/** One `fs` challenge, answered so. */
export function playFiles(agent: TestAgent, nth: number, files: Files): { transcript: Transcript; bytes: Uint8Array } {
  const { transcript: t } = ask(agent, 'swift', nth);
  const right = version(1);
  const root = Buffer.from(rootOf(hashesOf(right))).toString('hex');
  const instance = { instance: INSTANCE, chute: 'cht_1', version: 'f'.repeat(64), manifest: root, leaves: LEAVES };
  const id = challengeId('fs', INSTANCE, t.slot);
  const asked: Transcript = { ...t, id, kind: 'fs', target: INSTANCE, device: null, instance, class: '', profile: 'fs', steps: 32 };
  const seed = challengeSeed({ ...asked, randomness: pulse(t.round).randomness });
  const bytes = files.open(possessionSamples({ root, leaves: LEAVES, seed }), right, nth);
  return { transcript: opened(asked, bytes), bytes };
}
