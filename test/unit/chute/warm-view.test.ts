/** The phases of a start, as a table of what the Chute sees. */
import { expect, test } from 'vitest';
import type { ChuteView, InstanceView } from '../../../functions/chute/view.ts';
import { warmView } from '../../../functions/chute/warm-view.ts';
import { T0, World } from './world.ts';

const iso = (ms: number) => new Date(ms).toISOString();

/** A chute that wants one instance and has none, and what is different. */
function view(part: Partial<ChuteView> = {}): ChuteView {
  const world = new World();
  world.deploy('a');
  const base = world.core.describe(T0);
  if (base === null) throw new Error('no chute');
  return { ...base, ...part };
}

function instance(state: InstanceView['state'], detail = '', part: Partial<InstanceView> = {}): InstanceView {
  return {
    instance: 'ins_1',
    agent: 'agt',
    hotkey: 'h',
    region: '',
    version: 'a'.repeat(64),
    state,
    granted: T0,
    slots: 1,
    busy: 0,
    detail,
    ...part,
  };
}

const ERROR = { at: T0, agent: 'agt', text: 'exit code 1: secret words', count: 3, loop: true };

test.each<[string, Partial<ChuteView>, object]>([
  ['nothing', {}, { status: 'cold', phase: 'cold', progress: null, waiting_ms: null }],
  ['wanted', { need: 1, unmetSince: T0 - 500, bounty: 7 }, { status: 'cold', phase: 'waiting', waiting_ms: 500, bounty_nanousd: 7 }],
  ['unpaid', { need: 1, unpaidSince: T0 }, { phase: 'waiting', detail: 'its owner cannot pay for an instance' }],
  ['granted', { instances: [instance('granted')] }, { phase: 'granted', progress: null }],
  ['fetching', { instances: [instance('starting', 'fetching 40 %')] }, { phase: 'pulling', progress: 0.4, detail: 'fetching 40 %' }],
  ['pulling', { instances: [instance('starting', 'pulling 100 %')] }, { phase: 'pulling', progress: 1 }],
  ['more than all', { instances: [instance('starting', 'pulling 999 %')] }, { phase: 'pulling', progress: 1 }],
  ['pulling without a number', { instances: [instance('starting', 'pulling')] }, { phase: 'pulling', progress: null }],
  ['loading', { instances: [instance('starting', 'waiting for /health (503)')] }, { phase: 'loading', progress: null }],
  ['loading with progress', { instances: [instance('starting', 'loading 12 %')] }, { phase: 'loading', progress: 0.12 }],
  ['live', { instances: [instance('live', 'whatever')] }, { status: 'hot', phase: 'ready', progress: null, detail: '' }],
  ['the furthest counts', { instances: [instance('granted'), instance('starting', 'x', { instance: 'ins_2' })] }, { phase: 'loading' }],
  ['one on its way out', { need: 1, instances: [instance('draining')] }, { phase: 'waiting', instances: [] }],
  ['one whose agent is away', { need: 1, instances: [instance('away')] }, { phase: 'waiting', instances: [] }],
  ['an old version starts', { need: 1, instances: [instance('starting', '', { version: 'b' })] }, { phase: 'waiting' }],
  ['an old version serves', { need: 1, instances: [instance('live', '', { version: 'b' })] }, { phase: 'ready' }],
  [
    'a crash loop',
    { need: 1, failing: true, lastError: ERROR },
    { phase: 'failed', detail: ERROR.text, log: `its starts fail: ${ERROR.text}` },
  ],
  ['a crash loop that is tried again', { failing: false, lastError: ERROR, instances: [instance('starting')] }, { phase: 'loading' }],
])('%s', (_, part, expected) => {
  expect(warmView(view(part), 'owner', T0, iso)).toMatchObject(expected);
});

test('another caller sees the phase and the progress, not what the program says', () => {
  const starting = view({ lastError: ERROR, instances: [instance('starting', 'pulling 40 % of private/image')] });
  const failing = view({ failing: true, lastError: ERROR });
  const seen = [starting, failing].map((it) => warmView(it, 'caller', T0, iso));
  expect(JSON.stringify(seen)).not.toMatch(/secret words|private/);
  expect(seen).toMatchObject([
    { phase: 'pulling', progress: 0.4, detail: 'pulling 40 %' },
    { phase: 'failed', last_error: { message: null, crash_loop: true } },
  ]);
});
