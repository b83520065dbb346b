/**
 * Use that counts for emission (pure): without links, each payer up to a bound, and of a chute at most so much for one entity as the
 * others there stand for. Both bounds bend, neither breaks off: so no payer can switch a chute on or off for the others.
 */
import type { Use } from '#protocol/epoch.ts';
import { once } from './input.ts';
import type { Scoring } from './parameters.ts';

interface Terms {
  seconds: number;
  scoring: Scoring;
  /** Who is behind a hotkey. */
  entityOf: (hotkey: string) => string;
}

interface Line {
  chute: string;
  hotkey: string;
  amount: bigint;
}

/** Nano-USD by hotkey. */
export function useThatCounts(uses: readonly Use[], terms: Terms): Map<string, bigint> {
  const free = once(uses, (u) => `${u.chute} ${u.payer} ${u.hotkey}`).filter((u) => !u.linked);
  const most = payerBound(terms);
  const bounded = [...Map.groupBy(free, (u) => u.payer).values()].flatMap((own) =>
    shrunk(
      own.map(({ chute, hotkey, nanousd }) => ({ chute, hotkey, amount: BigInt(nanousd) })),
      most,
    ),
  );
  const counted = [...Map.groupBy(bounded, (line) => line.chute).values()].flatMap((lines) => shared(lines, terms));
  const byHotkey = new Map<string, bigint>();
  for (const { hotkey, amount } of counted) byHotkey.set(hotkey, (byHotkey.get(hotkey) ?? 0n) + amount);
  return byHotkey;
}

/** Of one chute: no entity counts for more than the others there together, divided by how many they must be. */
function shared(lines: readonly Line[], { scoring, entityOf }: Terms): Line[] {
  const others = BigInt(scoring.entities - 1);
  const all = total(lines);
  return [...Map.groupBy(lines, (line) => entityOf(line.hotkey)).values()].flatMap((own) =>
    others === 0n ? own : shrunk(own, (all - total(own)) / others),
  );
}

/** What one payer's use counts at most in an epoch: a part of the use that fills all that is not for capacity. */
function payerBound({ scoring: { emissionPerHour, capacity, usePay, payer }, seconds }: Terms): bigint {
  if (usePay === 0) return 0n;
  return (BigInt(emissionPerHour) * BigInt(seconds) * BigInt(1000 - capacity) * BigInt(payer)) / (3600n * BigInt(usePay) * 1000n);
}

/** The lines as they are, or each by the same part less, so that they sum up to `most` or just below. */
function shrunk(lines: readonly Line[], most: bigint): Line[] {
  const all = total(lines);
  return all <= most ? [...lines] : lines.map((line) => ({ ...line, amount: (line.amount * most) / all }));
}

function total(lines: readonly Line[]): bigint {
  return lines.reduce((sum, line) => sum + line.amount, 0n);
}
