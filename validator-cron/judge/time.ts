/** When a proof came and what rate that is: whole numbers of the edge's clock and of the beacon's times (pure). */
import { publishedAt, type BeaconChain } from '#protocol/challenge/beacon.ts';
import { CHALLENGE_LIMITS, MEM_PROFILES, MM_PROFILES, WINDOW_SLACK_MS, type DeviceClass, type Suite } from '#protocol/challenge/suite.ts';
import type { Transcript } from '#protocol/challenge/transcript.ts';
import type { VerdictReason } from '#protocol/challenge/verdict.ts';

/** From when the seed could be known to when the answer came. The credit is the least round trip of a day, so a slow answer gains nothing. */
export function elapsedMs(t: Transcript, chain: BeaconChain, answeredAt: number): number {
  const known = Math.max(t.sent_at, publishedAt(chain, t.round));
  return Math.max(0, answeredAt - known - Math.min(t.rtt_ms ?? 0, CHALLENGE_LIMITS.rttCreditMs));
}

/** `proven`, unless it is out of the window of the class. */
export function inTime(t: Transcript, suite: Suite, of: DeviceClass, elapsed: number): VerdictReason {
  if (elapsed > latestMs(suite, of)) return 'too_slow';
  if (t.kind === 'pow.mm' && elapsed < thousandths(suite.expectedMs, of.window.least)) return 'too_fast';
  return 'proven';
}

/** How many times as late a test out of turn may be: a judge may have loaded the device meanwhile, and it proves no capacity anyway. */
const OUT_OF_TURN = 3;

/** Whether being too slow is not held against the device. */
export function isForgiven(t: Transcript, suite: Suite, of: DeviceClass, elapsed: number): boolean {
  return !t.scheduled && elapsed <= OUT_OF_TURN * latestMs(suite, of);
}

function latestMs(suite: Suite, of: DeviceClass): number {
  return thousandths(suite.expectedMs, of.window.most) + WINDOW_SLACK_MS;
}

/** `pow.mm`: 10⁶ multiply-adds per second; `pow.mem`: reads per second. */
export function rateOf(t: Transcript, elapsed: number): number {
  const ms = BigInt(Math.max(1, elapsed));
  const mm = Object.entries(MM_PROFILES).find(([name]) => name === t.profile)?.[1];
  if (mm !== undefined) return Number((BigInt(t.steps) * BigInt(mm.n) ** 3n) / (ms * 1_000n));
  const mem = Object.entries(MEM_PROFILES).find(([name]) => name === t.profile)?.[1];
  return mem === undefined ? 0 : Number((BigInt(mem.lanes) * BigInt(mem.steps) * 1_000n) / ms);
}

/** What a device is that is too slow for its class: the fastest one of its kind that this rate is in time for. */
export function slowerClass(suite: Suite, tested: DeviceClass, rate: number): DeviceClass | null {
  const reached = suite.classes.filter((c) => c.kind === tested.kind && c.rate < tested.rate && rate * c.window.most >= c.rate * 1_000);
  return reached.sort((a, b) => b.rate - a.rate)[0] ?? null;
}

function thousandths(of: number, share: number): number {
  return Math.floor((of * share) / 1_000);
}
