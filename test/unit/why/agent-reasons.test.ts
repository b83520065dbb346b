/** Worlds of one agent, and why it has no work in each. */
import { describe, expect, test } from 'vitest';
import { CLOSE, NO_PRICE, type Inventory } from '#protocol';
import type { Offer } from '../../../functions/calls/ports.ts';
import { agentWhy, type AgentWorld } from '../../../functions/why/agent-reasons.ts';
import { lack, type Needs } from '../../../functions/why/offer-fits.ts';

const NOW = 1_700_000_000_000;
const MINUTE = 60_000;

const INVENTORY: Inventory = {
  agentVersion: '1',
  platform: 'x',
  runtimes: ['process'],
  devices: [{ id: 'cpu', kind: 'cpu', name: 'cpu', memoryMb: 16_000 }],
  region: 'eu',
  diskFreeMb: 10_240,
};
const gpu = (id: string, name: string, gb: number) => ({ id, kind: 'gpu' as const, name, memoryMb: gb * 1024 });
const WITH_GPUS: Inventory = {
  ...INVENTORY,
  runtimes: ['process', 'docker'],
  devices: [...INVENTORY.devices, gpu('0', 'NVIDIA A100', 40), gpu('1', 'NVIDIA L4', 24)],
};

const need = (count: number, min_vram_gb: number, include: string[] = [], exclude: string[] = []) => ({
  count,
  min_vram_gb,
  include,
  exclude,
});

function offer(part: Partial<Offer> = {}): Offer {
  return {
    chute: 'cht_1',
    name: 'demo/chat',
    version: 'a',
    need: 1,
    urgency: 100,
    bounty_nanousd: 0,
    price: NO_PRICE,
    gpu: null,
    runtime: 'command',
    image: null,
    code: null,
    owner: 'acc',
    since: NOW,
    ...part,
  };
}

function agent(part: Partial<AgentWorld> = {}): AgentWorld {
  return {
    connected: true,
    since: NOW - MINUTE,
    clockMs: 0,
    ends: [],
    idle: null,
    draining: false,
    inventory: INVENTORY,
    instances: [],
    refusals: [],
    failures: [],
    ...part,
  };
}

const NAMES = new Map([
  ['cht_1', 'demo/chat'],
  ['cht_2', 'demo/image'],
]);
const GPU_OFFER = offer({ gpu: need(1, 24) });
const cut = (agoMs: number, code = 1006) => ({ at: NOW - agoMs, code });
const says = (part: Partial<NonNullable<AgentWorld['idle']>['message']>, at = NOW) => ({
  at,
  message: { type: 'idle' as const, maintenance: false, offers: 1, reasons: [], ...part },
});

describe('agentWhy', () => {
  test.each<[string, AgentWorld, Offer[], { state: string; codes: string[]; next: string | null }]>([
    ['nothing is wanted', agent(), [], { state: 'idle', codes: ['no_demand'], next: 'no_demand' }],
    ['a GPU is wanted, it has none', agent(), [GPU_OFFER], { state: 'idle', codes: ['no_gpu'], next: 'no_gpu' }],
    ['it fits', agent(), [offer()], { state: 'idle', codes: [], next: null }],
    ['it never said hello', agent({ inventory: null }), [offer()], { state: 'idle', codes: [], next: null }],
    ['away', agent({ connected: false }), [offer()], { state: 'away', codes: ['not_connected'], next: 'not_connected' }],
    [
      'its hotkey is refused',
      agent({ connected: false, refused: true, ends: [cut(1)] }),
      [],
      { state: 'away', codes: ['refused'], next: 'refused' },
    ],
    ['it drained', agent({ connected: false, ends: [cut(1, CLOSE.done)] }), [], { state: 'away', codes: ['leaving'], next: 'leaving' }],
    ['it drains', agent({ draining: true }), [], { state: 'idle', codes: ['leaving', 'no_demand'], next: 'leaving' }],
    [
      'its version',
      agent({ connected: false, ends: [cut(1, CLOSE.version)] }),
      [],
      { state: 'away', codes: ['old_version'], next: 'old_version' },
    ],
    [
      'it broke the protocol',
      agent({ connected: false, ends: [cut(1, CLOSE.limit)] }),
      [],
      { state: 'away', codes: ['refused'], next: 'refused' },
    ],
    [
      'its socket is cut again and again',
      agent({ ends: [cut(9 * MINUTE), cut(5 * MINUTE, CLOSE.goaway), cut(MINUTE)] }),
      [],
      { state: 'idle', codes: ['socket_cut', 'no_demand'], next: 'socket_cut' },
    ],
    [
      'its socket is cut, and it is away',
      agent({ connected: false, ends: [cut(3), cut(2), cut(1)] }),
      [],
      { state: 'away', codes: ['socket_cut'], next: 'socket_cut' },
    ],
    [
      'it was cut long ago',
      agent({ ends: [cut(30 * MINUTE), cut(20 * MINUTE), cut(MINUTE)] }),
      [],
      { state: 'idle', codes: ['no_demand'], next: 'no_demand' },
    ],
    [
      'it was started anew',
      agent({ ends: [cut(3, CLOSE.done), cut(2, CLOSE.done), cut(1, CLOSE.done)] }),
      [],
      { state: 'idle', codes: ['no_demand'], next: 'no_demand' },
    ],
    ['its clock is ahead', agent({ clockMs: 31_000 }), [], { state: 'idle', codes: ['wrong_clock', 'no_demand'], next: 'wrong_clock' }],
    [
      'its clock is behind',
      agent({ clockMs: -3_600_000 }),
      [],
      { state: 'idle', codes: ['wrong_clock', 'no_demand'], next: 'wrong_clock' },
    ],
    ['its clock differs a little', agent({ clockMs: -2_000 }), [], { state: 'idle', codes: ['no_demand'], next: 'no_demand' }],
    [
      'its operator wants none',
      agent({ idle: says({ maintenance: true, reasons: [{ code: 'maintenance', count: 1, chutes: [] }] }) }),
      [GPU_OFFER],
      { state: 'idle', codes: ['maintenance'], next: 'maintenance' },
    ],
    [
      'its own words count more than the board',
      agent({ idle: says({ reasons: [{ code: 'pays_too_little', count: 3, chutes: ['demo/chat'] }] }) }),
      [GPU_OFFER],
      { state: 'idle', codes: ['pays_too_little'], next: 'pays_too_little' },
    ],
    [
      'its words of the session before do not',
      agent({ idle: says({ maintenance: true, reasons: [{ code: 'pays_too_little', count: 3, chutes: [] }] }, NOW - 2 * MINUTE) }),
      [GPU_OFFER],
      { state: 'idle', codes: ['no_gpu'], next: 'no_gpu' },
    ],
    [
      'its claims are refused',
      agent({
        refusals: [
          { code: 'others_first', count: 2 },
          { code: 'taken', count: 4 },
          { code: 'not_yet', count: 5 },
        ],
      }),
      [offer()],
      { state: 'idle', codes: ['taken', 'others_first'], next: 'taken' },
    ],
    [
      'its starts fail',
      agent({ failures: [{ code: 'cht_1', count: 2 }] }),
      [offer()],
      { state: 'idle', codes: ['start_failed'], next: 'start_failed' },
    ],
    [
      'it starts one',
      agent({ instances: [{ chute: 'cht_1', state: 'starting' }] }),
      [],
      { state: 'starting', codes: ['no_demand'], next: 'no_demand' },
    ],
    [
      'it serves, and could not serve the rest',
      agent({ instances: [{ chute: 'cht_1', state: 'live' }] }),
      [GPU_OFFER, GPU_OFFER],
      { state: 'serving', codes: ['no_gpu', 'serving'], next: 'serving' },
    ],
    [
      'it serves with a wrong clock',
      agent({ clockMs: 60_000, instances: [{ chute: 'cht_1', state: 'live' }] }),
      [],
      { state: 'serving', codes: ['wrong_clock', 'no_demand', 'serving'], next: 'wrong_clock' },
    ],
  ])('%s', (_, world, offers, expected) => {
    const { state, reasons, next } = agentWhy(world, { offers, names: NAMES }, NOW);
    expect({ state, codes: reasons.map((it) => it.code), next: next?.code ?? null }).toEqual(expected);
  });

  test('names public chutes only, whoever names them, and five of them at most', () => {
    const secret = ['alice/secret', 'bob/plan'];
    const named = new Map(Array.from({ length: 9 }, (_, k) => [`cht_${k}`, `demo/c${k}`]));
    const world = agent({
      idle: says({ reasons: [{ code: 'vram_short', count: 9, chutes: [...secret, 'demo/c1'] }] }),
      failures: [...named.keys(), 'cht_secret'].map((code) => ({ code, count: 1 })),
      instances: [{ chute: 'cht_secret', state: 'live' }],
    });
    const board = { offers: [offer({ name: 'alice/secret', gpu: need(1, 24) })], names: named };
    const told = [agentWhy(world, board, NOW), agentWhy({ ...world, idle: null }, board, NOW)];
    expect(JSON.stringify(told)).not.toMatch(/alice|bob|secret/);
    expect(told[0]?.reasons.find((it) => it.code === 'start_failed')).toMatchObject({ count: 10, chutes: [...named.values()].slice(0, 5) });
  });
});

test.each<[string, Needs, Inventory, string | null]>([
  ['a command', { gpu: null, runtime: 'command' }, INVENTORY, null],
  ['an image', { gpu: null, runtime: 'image' }, INVENTORY, 'no_engine'],
  ['an image, with an engine of its own', { gpu: null, runtime: 'image' }, { ...INVENTORY, runtimes: ['url'] }, null],
  ['a GPU it has', { gpu: need(1, 40), runtime: 'image' }, WITH_GPUS, null],
  ['more memory than any', { gpu: need(1, 80), runtime: 'image' }, WITH_GPUS, 'vram_short'],
  ['two of one kind', { gpu: need(2, 16), runtime: 'image' }, WITH_GPUS, 'vram_short'],
  ['another kind', { gpu: need(1, 16, ['h100']), runtime: 'image' }, WITH_GPUS, 'gpu_kind'],
  ['any but those', { gpu: need(1, 16, [], ['a100', 'l4']), runtime: 'image' }, WITH_GPUS, 'gpu_kind'],
  ['more RAM', { gpu: null, runtime: 'command', memory_mb: 16_001 }, INVENTORY, 'memory_short'],
  ['as much disk as there is', { gpu: null, runtime: 'command', disk_gb: 10 }, INVENTORY, null],
  ['more disk', { gpu: null, runtime: 'command', disk_gb: 11 }, INVENTORY, 'disk_full'],
])('a machine and %s', (_, needs, inventory, code) => {
  expect(lack(needs, inventory)).toBe(code);
});
