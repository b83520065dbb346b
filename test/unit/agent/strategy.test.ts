import { describe, expect, it } from 'vitest';
import { refusalOf, staysInCode } from '../../../miner-agent/allow.ts';
import type { MarketOffer } from '../../../miner-agent/market.ts';
import { choose, coolingMs, needOf, startOf } from '../../../miner-agent/strategy.ts';
import type { Situation, Wishes } from '../../../miner-agent/strategy.ts';

const V = 'a'.repeat(64);
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
  since: 0,
  ...fields,
});
const wishes = (fields: Partial<Wishes> = {}): Wishes => ({
  allow: { accounts: ['demo'], code: [], all: false },
  engines: [],
  maxInstances: 4,
  ...fields,
});
const situation = (fields: Partial<Situation> = {}): Situation => ({
  inventory: { agentVersion: '0', platform: '', runtimes: [], devices: [{ id: 'cpu0', kind: 'cpu', name: 'c', memoryMb: 1 }], region: '' },
  running: [],
  claiming: new Set(),
  cooling: new Map(),
  now: 1000,
  jitter: 0.5,
  ...fields,
});
const after = (what: string, until: number) => situation({ cooling: new Map([[what, until]]) });
const gpu = (id: string, memoryMb: number, name = 'NVIDIA H100') => ({ id, kind: 'gpu' as const, name, memoryMb });
const need = (fields: object = {}) => ({ count: 1, min_vram_gb: 16, include: [], exclude: [], ...fields });
const run = (name: string, fields: object = {}) => ({ chute: `cht_${name}`, name, runtime: 'process' as const, gpus: 0, ...fields });

describe('strategy', () => {
  const reasons: [string, MarketOffer, Wishes, Situation, RegExp | null][] = [
    ['takes what is allowed', offer('demo/chat'), wishes(), situation(), null],
    [
      'takes what an engine serves, though nobody is allowed',
      offer('bob/llm', { runtime: 'image' }),
      wishes({ engines: ['bob/llm'] }),
      situation(),
      null,
    ],
    ['leaves strangers', offer('bob/x', { code: V, owner: 'acc_bob' }), wishes(), situation(), /--allow-account bob or --allow-code aaaa/],
    [
      'takes allowed code',
      offer('bob/x', { code: V, owner: 'acc_bob' }),
      wishes({ allow: { accounts: [], code: [V], all: false } }),
      situation(),
      null,
    ],
    ['leaves images', offer('demo/i', { runtime: 'image' }), wishes(), situation(), /container image/],
    ['leaves what has enough', offer('demo/chat', { need: 0 }), wishes(), situation(), /enough/],
    ['claims once at a time', offer('demo/chat'), wishes(), situation({ claiming: new Set(['cht_demo/chat']) }), /under way/],
    ['waits after a failure', offer('demo/chat'), wishes(), after(startOf(offer('demo/chat')), 4500), /again in 4 s/],
    ['comes back after it', offer('demo/chat'), wishes(), after(startOf(offer('demo/chat')), 1000), null],
    [
      'starts another version at once',
      offer('demo/chat', { version: 'b'.repeat(64) }),
      wishes(),
      after(startOf(offer('demo/chat')), 4500),
      null,
    ],
    [
      'waits after a refusal',
      offer('demo/chat', { since: 7 }),
      wishes(),
      after(needOf(offer('demo/chat', { since: 7 })), 4500),
      /again in 4 s/,
    ],
    [
      'answers the next need at once',
      offer('demo/chat', { since: 8 }),
      wishes(),
      after(needOf(offer('demo/chat', { since: 7 })), 4500),
      null,
    ],
    [
      'respects the most',
      offer('demo/chat'),
      wishes({ maxInstances: 1 }),
      situation({ running: [run('demo/x')] }),
      /1 instances is the most/,
    ],
    [
      'uses an engine once',
      offer('bob/llm'),
      wishes({ engines: ['bob/llm'] }),
      situation({ running: [run('bob/llm', { runtime: 'url' })] }),
      /serves it already/,
    ],
    ['needs a GPU', offer('demo/g', { gpu: need() }), wishes(), situation(), /needs 1 GPU/],
  ];
  it.each(reasons)('%s', (_what, o, w, s, reason) => {
    const [choice] = choose([o], w, s);
    if (reason === null) expect(choice).toMatchObject({ take: true, chute: o.chute, version: o.version });
    else expect(choice).toMatchObject({ take: false, reason: expect.stringMatching(reason) });
  });

  it('takes GPUs that fit, one after the other, until none is free', () => {
    const inventory = { ...situation().inventory, devices: [gpu('a', 81_559), gpu('b', 81_559), gpu('c', 8_000, 'NVIDIA T4')] };
    const offers = [1, 2, 3].map((i) => offer(`demo/g${i}`, { gpu: need({ min_vram_gb: 40 }), urgency: 100 - i }));
    const taken = choose(offers, wishes(), situation({ inventory, running: [run('demo/old', { gpus: 1 })] })).map((c) => c.take);
    expect(taken).toEqual([true, true, false]);
    expect(choose([offer('demo/g', { gpu: need({ include: ['a100'] }) })], wishes(), situation({ inventory }))[0]?.take).toBe(false);
    expect(
      choose([offer('demo/g', { gpu: need({ exclude: ['h100'], min_vram_gb: 10 }) })], wishes(), situation({ inventory }))[0]?.take,
    ).toBe(false);
  });

  it('ranks by urgency, bounty, what runs here and age, and never takes more than there is room for', () => {
    const offers = [
      offer('demo/old', { since: 1 }),
      offer('demo/new', { since: 2 }),
      offer('demo/here', { since: 3 }),
      offer('demo/paid', { bounty_nanousd: 5 }),
      offer('demo/hot', { urgency: 900 }),
    ];
    const choices = choose(offers, wishes({ maxInstances: 4 }), situation({ running: [run('demo/here')] }));
    expect(choices.map((c) => c.name)).toEqual(['demo/hot', 'demo/paid', 'demo/new', 'demo/old', 'demo/here']);
    expect(choices.map((c) => c.take)).toEqual([true, true, true, false, false]);
    expect(choices.map((c) => (c.take ? c.afterMs : null)).slice(0, 2)).toEqual([25, 100]);
  });

  it('cools longer after each failure, and at least as long as told', () => {
    expect([1, 2, 3, 20].map((n) => coolingMs(n, 0))).toEqual([2000, 4000, 8000, 300_000]);
    expect(coolingMs(1, 60_000)).toBe(60_000);
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
