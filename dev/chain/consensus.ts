/**
 * What an epoch makes of all validators' weights (pure): who wins how much of the emission. Whole numbers; shares are of 2^32.
 * Weights above what the stake majority agrees on are cut to that, so a minority cannot lift a miner, its own or another's.
 */

const ONE = 1n << 32n;
const U16 = 65_535n;

export interface EpochAsk {
  /** By uid; the chain's own unit. */
  stakes: readonly bigint[];
  /** Whose weights count. */
  permits: readonly boolean[];
  /** By uid of who gives: uids and values as they were set. */
  weights: readonly (readonly (readonly [uid: number, value: number])[])[];
  /** Share of 65,535 of the stake that makes a majority. */
  kappa: number;
  /** Rao to hand out: half by incentive to miners, half by dividends to validators. */
  emission: bigint;
}

/** All by uid; shares of 65,535, and rao. */
export interface EpochOutcome {
  consensus: number[];
  incentive: number[];
  dividends: number[];
  emission: bigint[];
}

export function runEpoch({ stakes, permits, weights, kappa, emission }: EpochAsk): EpochOutcome {
  const voting = shares(stakes.map((stake, uid) => (permits[uid] === true ? stake : 0n)));
  const rows = stakes.map((_, uid) => (voting[uid] ? rowOf(uid, weights[uid] ?? [], stakes.length) : []));
  const consensus = stakes.map((_, uid) =>
    agreed(
      voting,
      rows.map((row) => row[uid] ?? 0n),
      kappa,
    ),
  );
  const cut = rows.map((row) => row.map((value, uid) => least(value, consensus[uid] ?? 0n)));
  const backing = stakes.map((_, uid) => sum(cut.map((row, giver) => (row[uid] ?? 0n) * (voting[giver] ?? 0n))));
  const incentive = shares(backing);
  // A validator earns by how much of each miner's incentive its weight brought about.
  const brought = cut.map((row, giver) =>
    sum(row.map((value, uid) => (backing[uid] ? (value * (voting[giver] ?? 0n) * (incentive[uid] ?? 0n)) / backing[uid] : 0n))),
  );
  const dividends = shares(brought);
  const half = emission / 2n;
  return {
    consensus: consensus.map(toU16),
    incentive: incentive.map(toU16),
    dividends: dividends.map(toU16),
    emission: stakes.map((_, uid) => (half * ((incentive[uid] ?? 0n) + (dividends[uid] ?? 0n))) / ONE),
  };
}

/** What one gives to each, in shares; nothing to itself. */
function rowOf(giver: number, weights: readonly (readonly [number, number])[], size: number): bigint[] {
  const row = Array.from({ length: size }, () => 0n);
  for (const [uid, value] of weights) if (uid !== giver && uid < size) row[uid] = BigInt(value);
  return shares(row);
}

/** The most that so much of the stake gives to a miner, each giving at least that. */
function agreed(voting: readonly bigint[], column: readonly bigint[], kappa: number): bigint {
  const candidates = [...new Set(column)].toSorted((a, b) => (a < b ? 1 : -1));
  const isAgreed = (value: bigint) => sum(voting.filter((_, giver) => (column[giver] ?? 0n) >= value)) * U16 >= ONE * BigInt(kappa);
  return candidates.find(isAgreed) ?? 0n;
}

/** Shares of 2^32; all zero where there is nothing to share. */
function shares(values: readonly bigint[]): bigint[] {
  const total = sum(values);
  return values.map((value) => (total === 0n ? 0n : (value * ONE) / total));
}

function toU16(share: bigint): number {
  return Number((share * U16) / ONE);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}
