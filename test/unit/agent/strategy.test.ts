import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NO_PRICE, waveMs, type Device, type WhyCode } from '#protocol';
import { refusalOf, staysInCode } from '../../../miner-agent/allow.ts';
import type { MarketOffer } from '../../../miner-agent/market.ts';
import { choose, coolingMs } from '../../../miner-agent/strategy/choose.ts';
import { expectedNanoUsdHour, prior, startMs } from '../../../miner-agent/strategy/earnings.ts';
import { idleOf } from '../../../miner-agent/strategy/idle.ts';
import { judgeOffers } from '../../../miner-agent/strategy/offers.ts';
import { PARAMETERS } from '../../../miner-agent/strategy/parameters.ts';
import { needOf, startOf } from '../../../miner-agent/strategy/world.ts';
import type { Action, Running, Wishes, World } from '../../../miner-agent/strategy/world.ts';

const V = 'a'.repeat(64);
const NOW = 1_700_000_000_000;
const MINUTE = 60_000;
const DAY = 86_400_000;

const offer = (name: string, fields: Partial<MarketOffer> = {}): MarketOffer => ({
  chute: `cht_${name}`,
  name,
  version: V,
  need: 1,
  urgency: 10,
  bounty_nanousd: 0,
  gpu: null,
  runtime: 'command',
  code: null,
  owner: 'acc_demo',
  since: NOW,
  ...fields,
});
const wishes = (fields: Partial<Wishes> = {}): Wishes => ({
  allow: { accounts: ['demo'], code: [], all: false },
  engines: [],
  maxInstances: 4,
  pin: [],
  forbid: [],
  maintenance: false,
  minUsdPerHour: 0,
  usdPerKwh: 0,
  ...fields,
});
const CPU: Device = { id: 'cpu0', kind: 'cpu', name: 'c', memoryMb: 16_384 };
const gpu = (id: string, gb: number, name: string, watts = 300): Device => ({ id, kind: 'gpu', name, memoryMb: gb * 1024, watts });
const H200 = gpu('h200', 140, 'NVIDIA H200', 700);
const RTX = gpu('4090', 24, 'NVIDIA GeForce RTX 4090', 450);
const need = (fields: object = {}) => ({ count: 1, min_vram_gb: 16, include: [], exclude: [], ...fields });
const pays = (usd: number) => ({ earning_nanousd_hour: usd * 1e9 });

type Part = Partial<Omit<World, 'inventory'>> & { devices?: Device[]; machine?: Partial<World['inventory']> };
const world = ({ devices = [], machine = {}, ...fields }: Part = {}): World => ({
  agent: 'agt_1',
  inventory: { agentVersion: '0', platform: '', runtimes: ['process'], devices: [CPU, ...devices], region: '', ...machine },
  running: [],
  offers: [],
  wishes: wishes(),
  claiming: new Map(),
  cooling: new Map(),
  cached: new Set(),
  switches: new Map(),
  idleSince: null,
  now: NOW,
  ...fields,
});
const run = (name: string, fields: Partial<Running> = {}): Running => ({
  instance: `ins_${name}`,
  chute: `cht_${name}`,
  version: V,
  name,
  runtime: 'process',
  state: 'live',
  devices: [],
  busy: 0,
  since: NOW - 10 * MINUTE,
  lastCallAt: null,
  expected: 0,
  memoryMb: 0,
  diskGb: 0,
  ...fields,
});
const held = (what: string, ms: number, code: WhyCode) => ({ cooling: new Map([[what, { until: NOW + ms, code }]]) });

/** `take on a,b`, `skip CODE` or `stop`, in the order of the strategy. */
const short = (actions: Action[]) =>
  actions.map((a) =>
    a.do === 'claim'
      ? `take ${a.name}${a.devices.length > 0 ? ` on ${a.devices.join(',')}` : ''}`
      : a.do === 'stop'
        ? `stop ${a.instance}`
        : `skip ${a.name} ${a.code}`,
  );
const decide = (offers: MarketOffer[], part: Part = {}) => short(choose(world({ ...part, offers })));

describe('one offer', () => {
  const chat = offer('demo/chat');
  const stranger = offer('bob/x', { code: V, owner: 'acc_bob' });
  const image = offer('bob/i', { runtime: 'image' });
  const model = offer('demo/m', { gpu: need() });
  const rows: [string, MarketOffer, Part, string][] = [
    ['what is allowed', chat, {}, 'take'],
    [
      'what an engine serves, though nobody is allowed',
      offer('bob/llm', { runtime: 'image' }),
      { wishes: wishes({ engines: ['bob/llm'] }) },
      'take',
    ],
    [
      'an engine twice',
      offer('bob/llm'),
      { wishes: wishes({ engines: ['bob/llm'] }), running: [run('bob/llm', { runtime: 'url' })] },
      'serving',
    ],
    ['strangers', stranger, {}, 'not_allowed'],
    ['allowed code', stranger, { wishes: wishes({ allow: { accounts: [], code: [V], all: false } }) }, 'take'],
    ['images without an engine', image, {}, 'no_engine'],
    ['images with one, though nobody is allowed', image, { machine: { runtimes: ['docker'] } }, 'take'],
    [
      'GPU images behind a toolkit with holes',
      { ...image, gpu: need() },
      { devices: [RTX], machine: { runtimes: ['docker'], toolkit: '1.17.7' } },
      'toolkit_unsafe',
    ],
    [
      'GPU images behind a mended toolkit',
      { ...image, gpu: need() },
      { devices: [RTX], machine: { runtimes: ['docker'], toolkit: '1.17.8' } },
      'take',
    ],
    ['what has enough', offer('demo/chat', { need: 0 }), {}, 'no_demand'],
    ['a claim twice', chat, { claiming: new Map([[chat.chute, { devices: [] }]]) }, 'claiming'],
    ['after a failed start', chat, held(startOf(chat), 4_500, 'start_failed'), 'start_failed'],
    ['later', chat, held(startOf(chat), 0, 'start_failed'), 'take'],
    ['another version at once', offer('demo/chat', { version: 'b'.repeat(64) }), held(startOf(chat), 4_500, 'start_failed'), 'take'],
    ['after a refusal', chat, held(needOf(chat), 4_500, 'others_first'), 'others_first'],
    ['the next need at once', offer('demo/chat', { since: NOW + 1 }), held(needOf(chat), 4_500, 'taken'), 'take'],
    ['more than the most', chat, { wishes: wishes({ maxInstances: 1 }), running: [run('demo/x', { busy: 1 })] }, 'full'],
    ['a GPU chute without GPU', model, {}, 'no_gpu'],
    ['a GPU that is too small', model, { devices: [gpu('t', 8, 'T4')] }, 'vram_short'],
    ['two GPUs of two kinds', offer('demo/m', { gpu: need({ count: 2 }) }), { devices: [RTX, H200] }, 'vram_short'],
    ['two GPUs of one kind', offer('demo/m', { gpu: need({ count: 2 }) }), { devices: [RTX, { ...RTX, id: 'b' }] }, 'take'],
    ['a GPU of another kind', offer('demo/m', { gpu: need({ include: ['a100'] }) }), { devices: [H200] }, 'gpu_kind'],
    ['an excluded GPU', offer('demo/m', { gpu: need({ exclude: ['h200'] }) }), { devices: [H200] }, 'gpu_kind'],
    ['a GPU in use', model, { devices: [RTX], running: [run('demo/y', { devices: ['4090'], busy: 1 })] }, 'gpu_busy'],
    ['a GPU that a claim waits for', model, { devices: [RTX], claiming: new Map([['other', { devices: ['4090'] }]]) }, 'gpu_busy'],
    [
      'more memory than is left',
      offer('demo/chat', { memory_mb: 9_000 }),
      { running: [run('demo/z', { memoryMb: 8_000 })] },
      'memory_short',
    ],
    ['memory that is left', offer('demo/chat', { memory_mb: 8_000 }), { running: [run('demo/z', { memoryMb: 8_000 })] }, 'take'],
    ['more disk than is free', offer('demo/chat', { disk_gb: 20 }), { machine: { diskFreeMb: 19 * 1024 } }, 'disk_full'],
    ['what is forbidden', chat, { wishes: wishes({ forbid: ['demo/chat'] }) }, 'forbidden'],
    ['an owner that is forbidden', chat, { wishes: wishes({ forbid: ['demo'] }) }, 'forbidden'],
    ['anything in maintenance', chat, { wishes: wishes({ maintenance: true }) }, 'maintenance'],
    ['free work', chat, { wishes: wishes({ minUsdPerHour: 0.01 }) }, 'pays_too_little'],
    ['free work that is pinned', chat, { wishes: wishes({ minUsdPerHour: 0.01, pin: ['demo/chat'] }) }, 'take'],
    [
      'work that pays less than its power',
      offer('demo/m', { gpu: need(), ...pays(0.1) }),
      { devices: [RTX], wishes: wishes({ usdPerKwh: 0.3 }) },
      'pays_too_little',
    ],
    ['work that pays more', offer('demo/m', { gpu: need(), ...pays(0.2) }), { devices: [RTX], wishes: wishes({ usdPerKwh: 0.3 }) }, 'take'],
    [
      'two GPUs that pay for one',
      offer('demo/m', { gpu: need({ count: 2 }), ...pays(1) }),
      { devices: [RTX, { ...RTX, id: 'b' }], wishes: wishes({ minUsdPerHour: 0.6 }) },
      'pays_too_little',
    ],
  ];
  it.each(rows)('%s', (_what, o, part, verdict) => {
    const [said = ''] = decide([o], part);
    expect(said).toMatch(verdict === 'take' ? /^take/ : new RegExp(`^skip .* ${verdict}$`));
    const [judged] = judgeOffers(world({ ...part, offers: [o] }));
    expect(judged).toMatchObject({
      name: o.name,
      verdict: verdict === 'take' ? 'take' : 'skip',
      code: verdict === 'take' ? null : verdict,
    });
    expect(judged?.reason).not.toBe('');
  });
});

describe('what an hour is worth', () => {
  const terms = { usdPerKwh: 0, cached: false };
  const hour = (fields: Partial<MarketOffer>, part = {}, devices: Device[] = []) =>
    expectedNanoUsdHour(offer('a/b', fields), devices, { ...terms, ...part });

  it('is what others earn, less the start, with the bounty, less what the devices draw', () => {
    expect(hour(pays(1))).toBe(Math.round((1e9 * 3_600_000) / (3_600_000 + PARAMETERS.coldStartMs)));
    expect(hour(pays(1), { cached: true })).toBeGreaterThan(hour(pays(1)));
    expect(hour({ ...pays(0), bounty_nanousd: 5_000 })).toBe(5_000);
    // 450 W, of which a fifth is drawn anyway, at 0.25 USD.
    expect(hour(pays(0), { usdPerKwh: 0.25 }, [RTX])).toBe(-90_000_000);
    expect(hour(pays(0), { usdPerKwh: 1 }, [CPU])).toBe(0);
    // One slot in four is busy a tenth of the time: so much is drawn.
    const price = { ...NO_PRICE, per_second: 100_000 };
    const serving = 3_600_000 / (3_600_000 + PARAMETERS.coldStartMs);
    expect(hour({ price, concurrency: 4 }, { usdPerKwh: 0.25 }, [RTX])).toBe(Math.round(144_000_000 * serving - 0.4 * 90_000_000));
  });

  it('where nobody knows, is a part of what its prices would bring, and never more than a bound', () => {
    const price = { ...NO_PRICE, per_second: 1_000 };
    expect(prior(offer('a/b', { price, concurrency: 10 }))).toBe(3_600_000);
    expect(prior(offer('a/b', { price, earning_nanousd_hour: null }))).toBe(360_000);
    expect(prior(offer('a/b', { price: { ...NO_PRICE, per_second: 1e13 }, concurrency: 256 }))).toBe(PARAMETERS.priorMax);
    expect(prior(offer('a/b', { price: { ...NO_PRICE, per_instance_second: 10_000 } }))).toBe(36_000_000);
    expect(prior(offer('a/b'))).toBe(0);
  });

  it('a start takes longer the larger the model, and little where it ran before', () => {
    const of = (gb: number) => startMs({ gpu: need({ min_vram_gb: gb }) }, false);
    expect([of(8), of(40), of(80), of(140)]).toEqual([37_000, 65_000, 100_000, 100_000]);
    expect(startMs({ gpu: need({ min_vram_gb: 140 }) }, true)).toBe(15_000);
  });
});

describe('docs/strategy.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/strategy.md'), 'utf8');
  it.each(Object.entries(PARAMETERS))('has %s as it is: %d', (name, value) => {
    expect(page).toMatch(new RegExp(`^\\| \`${name}\` +\\| ${value.toLocaleString('en-US')} `, 'm'));
  });
});

describe('many offers', () => {
  it('takes the best paid first, an urgent one up to twice as much', () => {
    const offers = [
      offer('demo/low', pays(1)),
      offer('demo/high', pays(3)),
      offer('demo/urgent', { ...pays(1.8), urgency: 1000 }),
      offer('demo/pinned', pays(0)),
    ];
    expect(decide(offers, { wishes: wishes({ maxInstances: 3, pin: ['demo/pinned'] }) })).toEqual([
      'take demo/pinned',
      'take demo/urgent',
      'take demo/high',
      'skip demo/low full',
    ]);
  });

  it('what pays alike goes by urgency, then by what runs here least, then the newest', () => {
    const offers = [
      offer('demo/old', { since: NOW - 2 }),
      offer('demo/new', { since: NOW - 1 }),
      offer('demo/here'),
      offer('demo/hot', { urgency: 900 }),
    ];
    expect(decide(offers, { wishes: wishes({ maxInstances: 9 }), running: [run('demo/here', { busy: 1 })] })).toEqual(
      ['hot', 'new', 'old', 'here'].map((name) => `take demo/${name}`),
    );
  });

  const many = [gpu('a', 24, 'RTX'), gpu('b', 24, 'RTX'), gpu('c', 80, 'H100')];
  const packing: [string, Part, MarketOffer[], string[]][] = [
    ['the smallest that fits', { devices: [H200, RTX] }, [offer('demo/s', { gpu: need({ min_vram_gb: 8 }) })], ['take demo/s on 4090']],
    [
      'the small one beside the large',
      { devices: [H200, RTX] },
      [offer('demo/s', { gpu: need({ min_vram_gb: 8 }), ...pays(5) }), offer('demo/l', { gpu: need({ min_vram_gb: 80 }), ...pays(1) })],
      ['take demo/s on 4090', 'take demo/l on h200'],
    ],
    [
      'the large one when the small is in use',
      { devices: [H200, RTX], running: [run('demo/r', { devices: ['4090'], busy: 1 })] },
      [offer('demo/s', { gpu: need({ min_vram_gb: 8 }) })],
      ['take demo/s on h200'],
    ],
    [
      'one after the other until none is free',
      { devices: many },
      [3, 2, 1, 0.5].map((usd) => offer(`demo/g${usd * 10}`, { gpu: need(), ...pays(usd) })),
      ['take demo/g30 on a', 'take demo/g20 on b', 'take demo/g10 on c', 'skip demo/g5 gpu_busy'],
    ],
    ['several of one kind', { devices: many }, [offer('demo/two', { gpu: need({ count: 2 }) })], ['take demo/two on a,b']],
  ];
  it.each(packing)('packs: %s', (_what, part, offers, said) => {
    expect(decide(offers, part)).toEqual(said);
  });

  it('a free chute on a machine alone is taken at once', () => {
    const actions = choose(world({ offers: ['chat', 'embed', 'image'].map((n) => offer(`demo/${n}`)), jitter: 1 }));
    expect(actions.map((a) => (a.do === 'claim' ? a.afterMs : null))).toEqual([0, 0, 0]);
  });

  it('waits for its wave, longer where others would start sooner or need the large GPU, never once idle for long', () => {
    const o = offer('demo/m', { gpu: need({ min_vram_gb: 70 }), crowd: 400 });
    const after = (part: Part) =>
      choose(world({ devices: [H200], offers: [o], ...part })).flatMap((a) => (a.do === 'claim' ? [a.afterMs] : []))[0];
    const wave = waveMs('agt_1', o);
    const slow = PARAMETERS.slowShare * (startMs(o, false) - startMs(o, true));
    expect(wave).toBeGreaterThan(0);
    expect(after({})).toBe(wave + slow + PARAMETERS.largerMs / 2);
    expect(after({ cached: new Set([startOf(o)]) })).toBe(wave + PARAMETERS.largerMs / 2);
    expect(after({ idleSince: NOW - PARAMETERS.courtesyMs })).toBe(wave);
    expect(after({ now: NOW + wave })).toBe(slow + PARAMETERS.largerMs / 2);
    expect(after({ now: NOW + 60_000 })).toBe(0);
    const same = run('demo/m', { devices: ['other'], busy: 1 });
    expect(after({ running: [same] })).toBe(wave + slow + PARAMETERS.largerMs / 2 + PARAMETERS.sameMs);
  });

  it('cools longer after each failure, and at least as long as told', () => {
    expect([1, 2, 3, 20].map((n) => coolingMs(n, 0))).toEqual([2000, 4000, 8000, 300_000]);
    expect(coolingMs(1, 60_000)).toBe(60_000);
  });
});

describe('giving up an instance', () => {
  const better = (usd: number, fields: Partial<MarketOffer> = {}) =>
    offer('demo/better', { gpu: need(), since: NOW - 2 * MINUTE, ...pays(usd), ...fields });
  const on = (fields: Partial<Running> = {}) =>
    run('demo/old', { devices: ['4090'], expected: 1e9, lastCallAt: NOW - 2 * MINUTE, ...fields });
  const hurry = (fields: Partial<MarketOffer> = {}) =>
    better(1, { gpu: need({ min_vram_gb: 24 }), cold: true, urgency: 400, since: NOW - 6_000, ...fields });
  const here = { cached: new Set([startOf(hurry())]) };
  // Two minutes without a call: thought to earn 0.76 USD of its 1 USD.
  const rows: [string, MarketOffer, Running, Part, boolean][] = [
    ['better, and quiet', better(1.4), on(), {}, true],
    ['not better by the factor', better(1.1), on(), {}, false],
    ['a call runs', better(9), on({ busy: 1 }), {}, false],
    ['a call ran a moment ago', better(9), on({ lastCallAt: NOW - 1_000 }), {}, false],
    ['a call ran a moment ago, but it is live for long', better(9), on({ lastCallAt: NOW - 1_000, since: NOW - 31 * MINUTE }), {}, true],
    ['it starts', better(9), on({ state: 'starting' }), {}, false],
    ['it drains', better(9), on({ state: 'draining' }), {}, false],
    ['the offer is new', better(9, { since: NOW - 1_000 }), on(), {}, false],
    ['calls wait for a cold one whose model is here', hurry(), on({ lastCallAt: NOW - 20_000 }), here, true],
    ['… but a call runs', hurry(), on({ busy: 1 }), here, false],
    ['… but a call ran a moment ago', hurry(), on({ lastCallAt: NOW - 10_000 }), here, false],
    ['… but it earns much less', hurry(pays(0.5)), on({ lastCallAt: NOW - 20_000 }), here, false],
    ['… but nobody else had the time to', hurry({ since: NOW - 1_000 }), on({ lastCallAt: NOW - 20_000 }), here, false],
    ['… but twice today already', hurry(), on(), { ...here, switches: new Map([['4090', [NOW - MINUTE, NOW - MINUTE]]]) }, false],
    ['… but no call waits', hurry({ urgency: 100 }), on(), here, false],
    ['… and its model is not here', hurry(), on(), {}, false],
    ['… and its model is not here, but nobody took it for long', hurry({ since: NOW - 20_000 }), on(), {}, true],
    ['it is pinned', better(9), on(), { wishes: wishes({ pin: ['demo/old'] }) }, false],
    ['a pinned offer needs no factor', better(0, { since: NOW }), on(), { wishes: wishes({ pin: ['demo/better'] }) }, true],
    ['a pinned offer still ends no call', better(9), on({ busy: 1 }), { wishes: wishes({ pin: ['demo/better'] }) }, false],
    ['twice today already', better(9), on(), { switches: new Map([['4090', [NOW - DAY + 1, NOW - MINUTE]]]) }, false],
    ['twice, once yesterday', better(9), on(), { switches: new Map([['4090', [NOW - DAY, NOW - MINUTE]]]) }, true],
    ['for nothing', better(0), on({ expected: 0 }), {}, false],
    ['one of its own chute', { ...better(9), chute: 'cht_demo/old' }, on(), {}, false],
  ];
  it.each(rows)('%s', (_what, o, r, part, gives) => {
    expect(decide([o], { devices: [RTX], running: [r], ...part })).toEqual([
      ...(gives ? ['stop ins_demo/old'] : []),
      `skip ${o.name} gpu_busy`,
    ]);
  });

  it('gives up one instance for one offer, the one that earns least', () => {
    const devices = ['a', 'b', 'c'].map((id) => ({ ...RTX, id }));
    const running = ['a', 'b', 'c'].map((id, i) => run(`demo/r${id}`, { devices: [id], expected: (3 - i) * 1e8 }));
    const offers = [better(5), offer('demo/two', { gpu: need({ count: 2 }), since: 0, ...pays(4) })];
    expect(decide(offers, { devices, running })).toEqual([
      'stop ins_demo/rc',
      'skip demo/better gpu_busy',
      'stop ins_demo/rb',
      'stop ins_demo/ra',
      'skip demo/two gpu_busy',
    ]);
  });

  it('makes room where only the number of instances is in the way', () => {
    const running = [run('demo/a', { expected: 5e8 }), run('demo/b', { expected: 2e8 })];
    const part = { running, wishes: wishes({ maxInstances: 2 }) };
    expect(decide([offer('demo/c', { since: 0, ...pays(1) })], part)).toEqual(['stop ins_demo/b', 'skip demo/c full']);
  });

  it('ends nothing whose devices would not do, though it earns least', () => {
    const devices = [RTX, { ...RTX, id: 'small', memoryMb: 8 * 1024 }];
    const running = [run('demo/large', { devices: [RTX.id], expected: 2e8 }), run('demo/small', { devices: ['small'], expected: 1e8 })];
    const wanted = offer('demo/c', { gpu: need({ min_vram_gb: 20 }), since: 0, ...pays(1) });
    expect(decide([wanted], { devices, running, wishes: wishes({ maxInstances: 2 }) })).toEqual([
      'stop ins_demo/large',
      'skip demo/c full',
    ]);
  });

  it('ends what its operator forbids, and counts it for no switch', () => {
    const actions = choose(world({ running: [run('demo/a'), run('bob/x')], wishes: wishes({ forbid: ['bob'] }) }));
    expect(actions).toEqual([{ do: 'stop', instance: 'ins_bob/x', counted: [], reason: 'you forbade bob/x' }]);
  });
});

describe('why there is no more work', () => {
  it('counts causes, names five chutes, and says what runs', () => {
    const offers = [...Array.from({ length: 7 }, (_, i) => offer(`bob/x${i}`)), offer('demo/m', { gpu: need() }), offer('demo/c')];
    const at = world({ offers, running: [run('demo/r')] });
    expect(idleOf(choose(at), at)).toEqual({
      type: 'idle',
      maintenance: false,
      offers: 9,
      reasons: [
        { code: 'not_allowed', count: 7, chutes: ['bob/x0', 'bob/x1', 'bob/x2', 'bob/x3', 'bob/x4'] },
        { code: 'no_gpu', count: 1, chutes: ['demo/m'] },
        { code: 'claiming', count: 1, chutes: ['demo/c'] },
        { code: 'serving', count: 1, chutes: ['demo/r'] },
      ],
    });
  });

  it.each<[string, Part, WhyCode]>([
    ['no offer', {}, 'no_demand'],
    ['maintenance', { wishes: wishes({ maintenance: true }) }, 'maintenance'],
  ])('says so where there is nothing to count: %s', (_what, part, code) => {
    const at = world(part);
    expect(idleOf(choose(at), at).reasons).toContainEqual({ code, count: 1, chutes: [] });
  });
});

describe('allow', () => {
  const config = (command: string[], env: Record<string, string> = {}) => ({ command, env });
  it.each([
    [['node', 'main.mjs'], {}, true],
    [['node', 'main.mjs', '--port', '{port}'], { MODEL: 'x' }, true],
    [['./serve'], {}, true],
    [['python3', 'src/app.py'], {}, true],
    [['node', '-e', 'evil()'], {}, false],
    [['node', '--import', './x', 'main.mjs'], {}, false],
    [['node', '/etc/x'], {}, false],
    [['node', '../x'], {}, false],
    [['./../x'], {}, false],
    [['bash', '-c', 'evil'], {}, false],
    [['curl', 'evil'], {}, false],
    [['/bin/sh', 'x'], {}, false],
    [['node'], {}, false],
    [['node', 'main.mjs'], { NODE_OPTIONS: '--import=data:…' }, false],
    [['./serve'], { LD_PRELOAD: '/x' }, false],
    [['node', 'main.mjs'], { PATH: '/evil' }, false],
  ])('%j with %j stays in its code: %s', (command, env, stays) => {
    expect(staysInCode(config(command, env))).toBe(stays);
    const program = { account: 'acc_b', name: 'bob/x', code: V, config: config(command, env) };
    expect(refusalOf({ accounts: [], code: [V], all: false }, program) === null).toBe(stays);
    expect(refusalOf({ accounts: ['bob'], code: [], all: false }, program)).toBeNull();
    expect(refusalOf({ accounts: [], code: [], all: false }, program)).toMatch(/nobody allowed/);
  });

  it('an empty list trusts nobody without a code folder either', () => {
    expect(refusalOf({ accounts: [], code: [], all: false }, { account: 'a', name: 'b/c', code: null, config: null })).toMatch(
      /nobody allowed/,
    );
  });
});
