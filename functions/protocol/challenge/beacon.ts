/**
 * Public randomness: a drand chain gives one pulse per round, for everybody the same, foretold by nobody, signed with BLS.
 * Rounds and times follow from the chain's facts alone; checking the signature is in `functions/beacon`.
 */
import * as z from 'zod/mini';

const hex = (bytes: number) => z.string().check(z.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));

/** A chain of the scheme `bls-unchained-g1-rfc9380`: public key on G2, signatures on G1. */
export const beaconChainSchema = z.object({
  /** Its name in paths. */
  hash: hex(32),
  /** Compressed, on G2. */
  publicKey: hex(96),
  /** Unix seconds of round 1. */
  genesis: z.number().check(z.int(), z.positive()),
  /** Seconds between rounds. */
  period: z.number().check(z.int(), z.gte(1), z.lte(60)),
});
export type BeaconChain = z.infer<typeof beaconChainSchema>;

/** drand's quicknet, which Subtensor's timelock uses too. */
export const QUICKNET: BeaconChain = {
  hash: '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971',
  publicKey:
    '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a',
  genesis: 1_692_803_367,
  period: 3,
};

export const pulseSchema = z.object({
  round: z.number().check(z.int(), z.positive()),
  /** SHA-256 of the signature. */
  randomness: hex(32),
  /** Compressed, on G1. */
  signature: hex(48),
});
export type Pulse = z.infer<typeof pulseSchema>;

/** The newest round that is out at a time (unix ms); 0 before the first. */
export function roundAt(chain: BeaconChain, atMs: number): number {
  return Math.max(0, Math.floor((atMs / 1000 - chain.genesis) / chain.period) + 1);
}

/** When a round comes out, unix ms. */
export function publishedAt(chain: BeaconChain, round: number): number {
  return (chain.genesis + (round - 1) * chain.period) * 1000;
}
