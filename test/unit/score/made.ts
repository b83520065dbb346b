/** Epochs for the tests of scores: one line each where a table wants it, and whole random worlds where a property does. */
import fc from 'fast-check';
import { MAINNET, VERDICT_REASONS, type Suite, type VerdictReason } from '#protocol/challenge/index.ts';
import type { JudgeCalls, MinerSummary, Presence, Served, Summary, Use } from '#protocol/epoch.ts';
import type { EpochInput, Tested } from '../../../validator-cron/score/input.ts';
import { FULL, SCORING, scoringSha256, type Scoring } from '../../../validator-cron/score/parameters.ts';
import { summarise } from '../../../validator-cron/score/summarise.ts';

export const HOUR = 3600;
/** Start of the first epoch. */
export const START = 1000 * HOUR;
export const ZEROS = '0'.repeat(64);

/** A hotkey or a coldkey that can be told apart. */
export function key(name: string): string {
  return `5${name.padEnd(47, 'x')}`;
}

export function presence(hotkey: string, device: string, of: Partial<Presence> = {}): Presence {
  const [agent = '', id = ''] = device.split('/');
  return {
    t: 'presence',
    hotkey: key(hotkey),
    agent,
    device: id,
    kind: 'gpu',
    name: 'NVIDIA H100',
    memory_mb: 81_920,
    since: 0,
    from: START,
    to: START + HOUR - 60,
    slots: 60,
    need: 0,
    serving: 0,
    ...of,
  };
}

/** A test and its verdict. */
export interface Trial {
  tested: Tested;
  verdict: EpochInput['verdicts'][number];
}

export function trial(hotkey: string, target: string, of: Partial<Tested> & { reason?: VerdictReason; rate?: number | null } = {}): Trial {
  const { reason = 'proven', rate = 285_000_000, ...rest } = of;
  const tested: Tested = {
    id: '',
    kind: 'pow.mm',
    target,
    hotkey: key(hotkey),
    slot: START + 600,
    round: 5_000,
    scheduled: true,
    class: 'h100',
    ...rest,
  };
  tested.id = `chl_${tested.kind}_${target}_${tested.slot}`;
  return { tested, verdict: { id: tested.id, reason, rate } };
}

export interface Made extends Partial<Omit<EpochInput, 'transcripts' | 'verdicts'>> {
  trials?: readonly Trial[];
}

export function input({ trials = [], ...of }: Made = {}): EpochInput {
  return {
    head: { epoch: START, seconds: HOUR },
    presence: [],
    uses: [],
    served: [],
    neurons: [],
    transcripts: trials.map((t) => t.tested),
    verdicts: trials.map((t) => t.verdict),
    calls: [],
    previous: null,
    files: { evidence: ZEROS, findings: ZEROS, previous: ZEROS },
    scoring: SCORING.mainnet,
    suite: MAINNET,
    ...of,
  };
}

/** A miner of a summary: perfect, and of one whole H100 for an hour. */
export function line(hotkey: string, of: Partial<MinerSummary> = {}): MinerSummary {
  return {
    hotkey: key(hotkey),
    entity: key(hotkey),
    proven: String(2_800_000 * HOUR),
    use: '0',
    tests: 200,
    tests_ok: 200,
    calls: 0,
    calls_ok: 0,
    latency: FULL,
    timed: 1,
    clean: true,
    rates: [],
    ...of,
  };
}

export function summary(miners: readonly MinerSummary[], epoch = START, scoring: Scoring = SCORING.mainnet): Summary {
  return {
    v: 1,
    epoch,
    seconds: HOUR,
    evidence: ZEROS,
    findings: ZEROS,
    previous: ZEROS,
    scoring_sha256: scoringSha256(scoring),
    miners: [...miners],
  };
}

/** The summaries of epochs that follow each other. */
export function chain(epochs: readonly EpochInput[]): Summary[] {
  const summaries: Summary[] = [];
  for (const epoch of epochs) summaries.push(summarise({ ...epoch, previous: summaries.at(-1) ?? null }));
  return summaries;
}

const HOTKEYS = ['alice', 'bob', 'carol', 'dave', 'eve'] as const;
const DEVICES = ['a1/gpu0', 'a1/gpu1', 'a2/gpu0', 'a3/gpu0', 'a4/cpu'] as const;
const BOTH = ['pow.mm', 'pow.mem'] as const;
const OWNERS = ['alice', 'alice', 'bob', 'carol', 'dave'] as const;

/** Random epochs, one after another, with all that can be in them. Small enough that things meet. */
export function worlds(epochs: number, suite: Suite = MAINNET, scoring: Scoring = SCORING.mainnet): fc.Arbitrary<EpochInput[]> {
  const starts = Array.from({ length: epochs }, (_, i) => START + i * HOUR);
  return fc.tuple(...starts.map((start) => epochAt(start, suite, scoring)));
}

function epochAt(start: number, suite: Suite, scoring: Scoring): fc.Arbitrary<EpochInput> {
  const hotkey = fc.constantFrom(...HOTKEYS);
  const device = fc.constantFrom(...DEVICES);
  // Few slots, one of them of the epoch before, one at the end.
  const slot = fc.constantFrom(start - 60, start + 600, start + 600, start + 1800, start + HOUR - 60);
  const kind = fc.constantFrom('pow.mm', 'pow.mm', 'pow.mm', 'pow.mem', 'pow.mem', 'fs');
  const reason = fc.oneof(
    { weight: 40, arbitrary: fc.constant('proven' as const) },
    { weight: 4, arbitrary: fc.constantFrom('too_slow' as const, 'no_pulse' as const, 'disconnected' as const) },
    { weight: 1, arbitrary: fc.constantFrom(...VERDICT_REASONS) },
  );
  const rate = fc.oneof(fc.constantFrom(285_000_000, 119_500_000, 33_000_000, 500, null), fc.nat({ max: 320_000_000 }));
  const classes = fc.constantFrom(...suite.classes.map((c) => c.name));
  const some = fc.record({
    kind,
    reason,
    rate,
    class: classes,
    late: fc.constantFrom(0, 0, 0, 1),
    scheduled: fc.constantFrom(true, true, true, false),
  });
  const single = fc
    .record({ hotkey, target: device, slot, some })
    .map(({ hotkey: h, target, slot: s, some: { late, ...of } }) => [trial(h, target, { ...of, slot: s, round: s / 3 + late })]);
  // All devices at once, each of its owner, and mostly both tests; most pass.
  const flash = fc
    .record({
      slot,
      kinds: fc.constantFrom(BOTH, BOTH, ['pow.mm'] as const),
      each: fc.array(some, { minLength: 2 * DEVICES.length, maxLength: 2 * DEVICES.length }),
    })
    .map(({ slot: s, kinds, each }) =>
      kinds.flatMap((k, j) =>
        DEVICES.map((target, i) => {
          const { late = 0, scheduled: _, ...of } = each[i + j * DEVICES.length] ?? {};
          return trial(OWNERS[i] ?? '', target, { ...of, kind: k, slot: s, round: s / 3 + late });
        }),
      ),
    );
  const trials = fc.tuple(fc.array(flash, { maxLength: 4 }), fc.array(single, { maxLength: 12 })).map((all) => all.flat(2));
  const presences = fc.array(
    fc
      .record({
        at: fc.nat({ max: DEVICES.length - 1 }),
        stranger: fc.constantFrom(null, null, null, ...HOTKEYS),
        slots: fc.nat({ max: 70 }),
        need: fc.nat({ max: 70_000 }),
        serving: fc.nat({ max: 60 }),
        since: slot,
      })
      .map(({ at, stranger, ...of }) => {
        const target = DEVICES[at] ?? DEVICES[0];
        return presence(stranger ?? OWNERS[at] ?? '', target, { ...of, kind: target.endsWith('cpu') ? 'cpu' : 'gpu' });
      }),
    { maxLength: 12 },
  );
  const uses = fc.array(
    fc.record({
      t: fc.constant('use' as const),
      chute: fc.constantFrom('cht_1', 'cht_2'),
      payer: fc.constantFrom('p1', 'p2', 'p3'),
      hotkey: hotkey.map(key),
      nanousd: fc.bigInt({ min: 0n, max: 400_000_000_000n }).map(String),
      linked: fc.boolean(),
    }),
    { maxLength: 20 },
  );
  const count = fc.nat({ max: 3_000 });
  const ms = fc.option(fc.nat({ max: 20_000 }), { nil: null });
  const served = fc.array(
    fc.record({ t: fc.constant('served' as const), hotkey: hotkey.map(key), completed: count, failed: count, first_byte_ms: ms }),
    { maxLength: 5 },
  );
  const calls = fc.array(
    fc
      .record({
        hotkey: hotkey.map(key),
        canaries: fc.nat({ max: 9 }),
        pings: fc.nat({ max: 60 }),
        missed: fc.nat({ max: 9 }),
        first_byte_ms: ms,
        rtt_ms: ms,
        swapped: fc.nat({ max: 19 }).map((n) => (n === 0 ? ['cht_1'] : [])),
      })
      .map(({ missed, ...c }): JudgeCalls => ({
        t: 'calls',
        ...c,
        canaries_ok: Math.max(0, c.canaries - missed),
        pings_ok: Math.max(0, c.pings - missed),
      })),
    { maxLength: 5 },
  );
  const neurons = fc
    .array(fc.tuple(hotkey, fc.constantFrom('cold1', 'cold2', 'cold3')), { maxLength: 5 })
    .map((pairs) =>
      [...new Map(pairs)].map(([h, c], uid) => ({ t: 'neuron' as const, uid, hotkey: key(h), coldkey: key(c), permit: false })),
    );
  return fc
    .record({ trials, presence: presences, uses, served, calls, neurons })
    .map((made) => input({ ...made, head: { epoch: start, seconds: HOUR }, suite, scoring }));
}

/** Miners of one summary with anything in them, several behind one entity. */
export const lines: fc.Arbitrary<MinerSummary[]> = fc
  .uniqueArray(fc.nat({ max: 30 }), { minLength: 1, maxLength: 8 })
  .chain((names) => fc.tuple(...names.map((n) => lineOf(String(n)))));

function lineOf(name: string): fc.Arbitrary<MinerSummary> {
  const whole = fc.bigInt({ min: 0n, max: 10n ** 14n });
  const counts = fc.tuple(fc.nat({ max: 500 }), fc.nat({ max: 500 })).map(([a, b]) => ({ all: Math.max(a, b), ok: Math.min(a, b) }));
  return fc
    .record({
      entity: fc.constantFrom('e1', 'e2', 'e3', `own${name}`).map(key),
      proven: whole,
      use: whole,
      tests: counts,
      calls: counts,
      latency: fc.nat({ max: FULL }),
    })
    .map(({ proven, use, tests, calls, ...of }) =>
      line(name, {
        ...of,
        proven: String(proven),
        use: String(use),
        tests: tests.all,
        tests_ok: tests.ok,
        calls: calls.all,
        calls_ok: calls.ok,
      }),
    );
}

export function use(hotkey: string, payer: string, usd: number, of: Partial<Use> = {}): Use {
  return {
    t: 'use',
    chute: 'cht_1',
    payer,
    hotkey: key(hotkey),
    nanousd: String(BigInt(Math.round(usd * 1_000)) * 1_000_000n),
    linked: false,
    ...of,
  };
}

export function served(hotkey: string, completed: number, failed: number): Served {
  return { t: 'served', hotkey: key(hotkey), completed, failed, first_byte_ms: null };
}
