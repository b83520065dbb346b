/** Proofs for made-up epochs: the real one, and one of zeros that costs nothing to make and as much as any to check. */
import { hexToBytes } from '@noble/hashes/utils.js';
import { hashOf } from '#protocol/challenge/mix.ts';
import { mmSamples } from '#protocol/challenge/mm.ts';
import { MM_PROFILES, type MmProfile } from '#protocol/challenge/suite.ts';
import { joined, treeOf, type Tree } from '#protocol/challenge/tree.ts';
import { proveWork, type Work, type WorkProof } from '#protocol/challenge/work.ts';

export type Prover = (work: Work) => WorkProof | null;

export const honest: Prover = (work) => proveWork(work);

const BLOCK = 256;
const trees = new Map<string, Tree>();

/**
 * `pow.mm` whose leaves are all zero, every path and digest right: a judge does the whole check, all sixteen leaves, before it sees that
 * the first is wrong. Null for other work.
 */
export const zeros: Prover = (work) => {
  const profile: MmProfile | undefined = Object.entries(MM_PROFILES).find(([name]) => name === work.profile)?.[1];
  if (work.kind !== 'pow.mm' || profile === undefined) return null;
  const tree = trees.get(work.profile) ?? treeOf(new Uint8Array((profile.n * profile.n * 4) / profile.tile), BLOCK);
  trees.set(work.profile, tree);
  const digests: Uint8Array[] = [hexToBytes(work.seed)];
  for (let step = 1; step <= work.steps; step++) digests.push(hashOf(digests[step - 1] ?? new Uint8Array(), tree.root));
  const chain = joined(digests.slice(1));
  const root = Buffer.from(hashOf(chain)).toString('hex');
  const tiles = profile.n / profile.tile;
  return {
    root,
    open: (randomness) =>
      joined([
        chain,
        ...mmSamples(profile, work.steps, root, randomness).map(({ row, tile }) =>
          joined([new Uint8Array(BLOCK), tree.path(Math.floor((row * tiles + tile) / (BLOCK / 4)))]),
        ),
      ]),
  };
};
