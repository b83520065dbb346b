/** What an epoch came to for each miner, out of its published files (pure, integers only): all that later scores need of it. */
import type { DeviceChallenge } from '#protocol/challenge/index.ts';
import type { JudgeCalls, MinerSummary, Presence, Served, Summary } from '#protocol/epoch.ts';
import { proofKey, provenBy, type Proven } from './flash.ts';
import { judgedOf, once, outcomeOf, type EpochInput, type Judged } from './input.ts';
import { scoringSha256, type Scoring } from './parameters.ts';
import { lineMarks, scaled, type Count } from './rate.ts';
import { useThatCounts } from './use.ts';
import { worthOf } from './worth.ts';

/** Miners by hotkey. Order and repetition of the lines change nothing. */
export function summarise(input: EpochInput): Summary {
  const judged = judgedOf(input);
  const devices = once(input.presence, (p) => proofKey(p.hotkey, targetOf(p)));
  const served = new Map(once(input.served, (s) => s.hotkey).map((s) => [s.hotkey, s]));
  const calls = new Map(once(input.calls, (c) => c.hotkey).map((c) => [c.hotkey, c]));
  const coldkeys = new Map(once(input.neurons, (n) => n.hotkey).map((n) => [n.hotkey, n.coldkey]));
  const entityOf = (hotkey: string): string => coldkeys.get(hotkey) ?? hotkey;
  const use = useThatCounts(input.uses, input.scoring, input.head.seconds);
  const rates = Map.groupBy(ratesOf(input, judged, devices), (r) => r.hotkey);
  const present = Map.groupBy(devices, (p) => p.hotkey);
  const tests = Map.groupBy(judged, (t) => t.hotkey);

  const hotkeys = new Set([...present, ...served, ...calls, ...use, ...tests, ...rates].map(([hotkey]) => hotkey));
  const miners = [...hotkeys].toSorted().map((hotkey): MinerSummary => {
    const own = rates.get(hotkey) ?? [];
    const [mine, asked] = [served.get(hotkey), calls.get(hotkey)];
    const all = testsOf(input, tests.get(hotkey) ?? [], asked);
    const paid = scaled({ all: (mine?.completed ?? 0) + (mine?.failed ?? 0), ok: mine?.completed ?? 0 }, input.scoring.calls);
    const latency = latencyOf(input.scoring, mine, asked);
    return {
      hotkey,
      entity: entityOf(hotkey),
      proven: capacityOf(input, own, present.get(hotkey) ?? []),
      use: String(use.get(hotkey) ?? 0n),
      tests: all.all,
      tests_ok: all.ok,
      calls: paid.all,
      calls_ok: paid.ok,
      latency: latency ?? 0,
      timed: latency === null ? 0 : 1,
      clean: (asked?.swapped.length ?? 0) === 0 && !(tests.get(hotkey) ?? []).some((t) => outcomeOf(t) === 'hard'),
      rates: own.map(({ target, rate, memory, worth }) => ({
        target,
        rate: rate.value,
        rate_slot: rate.slot,
        memory_mb: memory.value,
        memory_slot: memory.slot,
        class: worth.class,
      })),
    };
  });
  const { epoch, seconds } = input.head;
  return { v: 1, epoch, seconds, ...input.files, scoring_sha256: scoringSha256(input.scoring), miners };
}

interface Rate {
  hotkey: string;
  target: string;
  rate: Proven;
  memory: Proven;
  worth: ReturnType<typeof worthOf>;
}

const NOTHING: Proven = { value: 0, slot: 0 };

/** Every device that has proven something, whether it was there in this epoch or not. */
function ratesOf(input: EpochInput, judged: readonly Judged[], devices: readonly Presence[]): Rate[] {
  const { head, previous, scoring, suite } = input;
  const since = new Map(devices.map((p) => [proofKey(p.hotkey, targetOf(p)), p.since]));
  const kinds = new Map(devices.map((p) => [proofKey(p.hotkey, targetOf(p)), p.kind]));
  const proven = (kind: DeviceChallenge) =>
    provenBy({ kind, judged, since, carried: carriedOf(previous, kind), end: head.epoch + head.seconds, suite, scoring });
  const [byRate, byMemory] = [proven('pow.mm'), proven('pow.mem')];
  const keys = new Set([...byRate.keys(), ...byMemory.keys()]);
  return [...keys].toSorted().map((key) => {
    // A device's name may have spaces of its own.
    const [hotkey = ''] = key.split(' ', 1);
    const target = key.slice(hotkey.length + 1);
    const rate = byRate.get(key) ?? NOTHING;
    const memory = byMemory.get(key) ?? NOTHING;
    const kind = kinds.get(key);
    const worth = kind === undefined ? { class: null, units: 0 } : worthOf(suite, { kind, rate: rate.value, memoryMb: memory.value });
    return { hotkey, target, rate, memory, worth };
  });
}

function carriedOf(previous: Summary | null, kind: DeviceChallenge): Map<string, Proven> {
  const all = (previous?.miners ?? []).flatMap((m) =>
    m.rates.map((r): [string, Proven] => [
      proofKey(m.hotkey, r.target),
      kind === 'pow.mm' ? { value: r.rate, slot: r.rate_slot } : { value: r.memory_mb, slot: r.memory_slot },
    ]),
  );
  return new Map(all.filter(([, proven]) => proven.value > 0));
}

/** Seconds of the proven devices that were there, by what they are paid as. */
function capacityOf({ head, suite }: EpochInput, rates: readonly Rate[], devices: readonly Presence[]): string {
  const units = new Map(rates.map((r) => [r.target, r.worth.units]));
  const { slotSeconds } = suite.cadence;
  const most = Math.floor(head.seconds / slotSeconds);
  const seconds = (device: Presence): number => (units.get(targetOf(device)) ?? 0) * slotSeconds * Math.min(device.slots, most);
  return String(devices.reduce((sum, device) => sum + BigInt(seconds(device)), 0n));
}

/** Verdicts, canaries and a few pings. What is nobody's doing, or of a device that is paid nothing, counts as never asked. */
function testsOf({ suite, scoring }: EpochInput, judged: readonly Judged[], asked: JudgeCalls | undefined): Count {
  const paid = new Set(suite.classes.filter((c) => c.units > 0).map((c) => c.name));
  const counted = judged.filter((t) => {
    const ofDevice = t.kind === 'pow.mm' || t.kind === 'pow.mem';
    return outcomeOf(t) !== 'void' && t.reason !== 'unproven' && (!ofDevice || paid.has(t.class));
  });
  const pings = scaled({ all: asked?.pings ?? 0, ok: asked?.pings_ok ?? 0 }, scoring.pings);
  return {
    all: counted.length + (asked?.canaries ?? 0) + pings.all,
    ok: counted.filter((t) => outcomeOf(t) === 'pass').length + (asked?.canaries_ok ?? 0) + pings.ok,
  };
}

/** The judge's own first bytes, which are of tasks all alike; else those of paying callers. Null: nothing was measured. */
function latencyOf({ latency }: Scoring, served: Served | undefined, asked: JudgeCalls | undefined): number | null {
  const firstByteMs = asked?.first_byte_ms ?? served?.first_byte_ms ?? null;
  const rttMs = asked?.rtt_ms ?? null;
  const firstByte = firstByteMs === null ? null : lineMarks(firstByteMs, latency.firstByte, latency.floor);
  const rtt = rttMs === null ? null : lineMarks(rttMs, latency.rtt, latency.floor);
  if (firstByte === null || rtt === null) return firstByte ?? rtt;
  return Math.floor((firstByte * latency.firstByteShare + rtt * (1000 - latency.firstByteShare)) / 1000);
}

function targetOf(device: Presence): string {
  return `${device.agent}/${device.device}`;
}
