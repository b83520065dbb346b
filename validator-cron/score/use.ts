/**
 * Use that counts for emission (pure): without links between payer and miner, each payer up to a bound. The bound bends and does not break
 * off, so no payer can switch others on or off. Who serves a chute, and with how many others, does not matter: what use is paid is no
 * more than the fee on it, and a rule about the number of entities would only invite splitting up.
 */
import type { Use } from '#protocol/epoch.ts';
import { once } from './input.ts';
import type { Scoring } from './parameters.ts';

/** Nano-USD by hotkey. */
export function useThatCounts(uses: readonly Use[], scoring: Scoring, seconds: number): Map<string, bigint> {
  const free = once(uses, (u) => `${u.chute} ${u.payer} ${u.hotkey}`).filter((u) => !u.linked);
  const most = payerBound(scoring, seconds);
  const byHotkey = new Map<string, bigint>();
  for (const lines of Map.groupBy(free, (u) => u.payer).values()) {
    const paid = lines.reduce((sum, u) => sum + BigInt(u.nanousd), 0n);
    for (const { hotkey, nanousd } of lines) {
      const part = paid <= most ? BigInt(nanousd) : (BigInt(nanousd) * most) / paid;
      byHotkey.set(hotkey, (byHotkey.get(hotkey) ?? 0n) + part);
    }
  }
  return byHotkey;
}

/** What one payer's use counts at most in an epoch: a part of the use that fills all that is not for capacity. */
function payerBound({ emissionPerHour, capacity, usePay, payer }: Scoring, seconds: number): bigint {
  if (usePay === 0) return 0n;
  return (BigInt(emissionPerHour) * BigInt(seconds) * BigInt(1000 - capacity) * BigInt(payer)) / (3600n * BigInt(usePay) * 1000n);
}
