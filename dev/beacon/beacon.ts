/** A beacon of one key: what drand's quicknet is to everybody, made on this machine. The signatures are real; who has the key can foretell them. */
import { createHash } from 'node:crypto';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { roundAt, type BeaconChain, type Pulse } from '#protocol/challenge/beacon.ts';

export interface Beacon {
  chain: BeaconChain;
  /** The pulse of a round, whether it is out or not. */
  pulse(round: number): Pulse;
  /** The newest pulse that is out; null before the first. */
  latest(atMs: number): Pulse | null;
}

/** A key and the times of its rounds; enough to make every pulse there will ever be. */
export interface BeaconAsk {
  /** 64 hex digits that the key is made of. */
  seed: string;
  /** Unix seconds of round 1. */
  genesis?: number;
  /** Seconds. */
  period?: number;
  /** Its public key where that is known already: to compute it takes a tenth of a second. */
  publicKey?: string;
}

/** As quicknet's: `bls-unchained-g1-rfc9380`. */
export const SCHEME = 'bls-unchained-g1-rfc9380';
export const BEACON_ID = 'ripcord-local';
/** Long ago, so that a round has the same number whenever a network is started. */
const GENESIS = 1_692_803_367;
const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';
/** Pulses that are kept: a signature takes a few milliseconds. */
const KEPT = 64;

export function makeBeacon({ seed, genesis = GENESIS, period = 1, ...known }: BeaconAsk): Beacon {
  const secret = bls12_381.fields.Fr.create(BigInt(`0x${sha256(`beacon/${seed}`).toString('hex')}`));
  const publicKey = known.publicKey ?? bls12_381.G2.Point.BASE.multiply(secret).toHex();
  const chain = { hash: chainHash({ publicKey, genesis, period, groupHash: groupHash(seed), id: BEACON_ID }), publicKey, genesis, period };
  const kept = new Map<number, Pulse>();
  const sign = (round: number): Pulse => {
    const point = bls12_381.G1.hashToCurve(sha256(bigEndian(round)), { DST });
    const signature = bls12_381.G1.Point.fromAffine(point.toAffine()).multiply(secret).toBytes(true);
    return { round, randomness: sha256(signature).toString('hex'), signature: Buffer.from(signature).toString('hex') };
  };
  const pulse = (round: number): Pulse => {
    const known = kept.get(round) ?? sign(round);
    kept.set(round, known);
    const [oldest] = kept.keys();
    if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
    return known;
  };
  return {
    chain,
    pulse,
    latest(atMs) {
      const round = roundAt(chain, atMs);
      return round === 0 ? null : pulse(round);
    },
  };
}

/** What drand derives the founding group's hash from is its members; here it is the seed. */
export function groupHash(seed: string): string {
  return sha256(`group/${seed}`).toString('hex');
}

/** The name of a chain, as drand computes it. */
export function chainHash(of: { publicKey: string; genesis: number; period: number; groupHash: string; id: string }): string {
  const period = Buffer.alloc(4);
  period.writeUInt32BE(of.period);
  const facts = [period, bigEndian(of.genesis), Buffer.from(of.publicKey, 'hex'), Buffer.from(of.groupHash, 'hex'), of.id];
  return facts
    .reduce((hash, fact) => hash.update(fact), createHash('sha256'))
    .digest()
    .toString('hex');
}

function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function sha256(of: string | Uint8Array): Buffer {
  return createHash('sha256').update(of).digest();
}
