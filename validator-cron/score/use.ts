/** Use that counts for emission (pure): of chutes that several entities serve, without links, each payer up to a bound. */
import type { Use } from '#protocol/epoch.ts';
import { once } from './input.ts';
import type { Scoring } from './parameters.ts';

/** Nano-USD by hotkey. `entityOf`: who is behind a hotkey. */
export function useThatCounts(
  uses: readonly Use[],
  of: { seconds: number; scoring: Scoring; entityOf: (hotkey: string) => string },
): Map<string, bigint> {
  const free = once(uses, (u) => `${u.chute} ${u.payer} ${u.hotkey}`).filter((u) => !u.linked);
  const counted = [...Map.groupBy(free, (u) => u.chute).values()].filter((lines) => isEligible(lines, of)).flat();
  const most = payerBound(of.scoring, of.seconds);
  const byHotkey = new Map<string, bigint>();
  for (const lines of Map.groupBy(counted, (u) => u.payer).values()) {
    const paid = total(lines);
    for (const { hotkey, nanousd } of lines) {
      const part = paid <= most ? BigInt(nanousd) : (BigInt(nanousd) * most) / paid;
      byHotkey.set(hotkey, (byHotkey.get(hotkey) ?? 0n) + part);
    }
  }
  return byHotkey;
}

/** Enough entities that each serve a part of it: then the edge chooses who serves, not who pays. */
function isEligible(lines: readonly Use[], { scoring, entityOf }: { scoring: Scoring; entityOf: (hotkey: string) => string }): boolean {
  const all = total(lines);
  const parts = [...Map.groupBy(lines, (u) => entityOf(u.hotkey)).values()].map(total);
  const { entities, least } = scoring.eligible;
  return all > 0n && parts.filter((part) => part > 0n && part * 1000n >= all * BigInt(least)).length >= entities;
}

/** What one payer's use counts at most in an epoch: a part of the use that fills all that is not for capacity. */
function payerBound({ emissionPerHour, capacity, usePay, payer }: Scoring, seconds: number): bigint {
  if (usePay === 0) return 0n;
  return (BigInt(emissionPerHour) * BigInt(seconds) * BigInt(1000 - capacity) * BigInt(payer)) / (3600n * BigInt(usePay) * 1000n);
}

function total(lines: readonly Use[]): bigint {
  return lines.reduce((sum, u) => sum + BigInt(u.nanousd), 0n);
}
