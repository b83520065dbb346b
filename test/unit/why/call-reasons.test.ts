/** Worlds of one call, and why it waits in each. */
import { describe, expect, test } from 'vitest';
import type { ChuteView, InstanceView } from '../../../functions/chute/view.ts';
import { CALL_WHY, CALL_WHY_CODES, doneReasons, nextOf, openReasons, type OpenCall } from '../../../functions/why/call-reasons.ts';
import { T0, World } from '../chute/world.ts';

const NOW = T0 + 5_000;
const PLACE = { position: 2, etaMs: 1_200 };
const ERROR = { at: T0, agent: 'agt', text: 'exit code 1: secret words\nmore', count: 3, loop: true };

function chute(part: Partial<ChuteView> = {}, more: Partial<NonNullable<OpenCall['chute']>> = {}): OpenCall {
  const world = new World();
  world.deploy('a', { max: 2 });
  const view = world.core.describe(T0);
  if (view === null) throw new Error('no chute');
  return { failed: 0, chute: { view: { ...view, waiting: 3, ...part }, place: PLACE, refusals: [], ...more } };
}

function instance(state: InstanceView['state'], detail = ''): InstanceView {
  return { instance: 'i', agent: 'a', hotkey: 'h', region: '', version: 'a'.repeat(64), state, granted: T0, slots: 2, busy: 2, detail };
}

describe('a call that has not ended', () => {
  test.each<[string, OpenCall, string[]]>([
    ['nobody comes', chute({ need: 1, unmetSince: T0, urgency: 300 }), ['nobody_claims', 'no_instance', 'queue_position']],
    [
      'those who come are refused',
      chute({ need: 1, unmetSince: T0 }, { refusals: [{ code: 'cooling_down', count: 3 }] }),
      ['nobody_claims', 'claims_refused', 'no_instance', 'queue_position'],
    ],
    ['one starts', chute({ instances: [instance('starting', 'pulling 40 %')] }), ['starting', 'no_instance', 'queue_position']],
    ['it crashes', chute({ lastError: ERROR, need: 1, unmetSince: T0 }), ['crash_loop', 'nobody_claims', 'no_instance', 'queue_position']],
    ['it crashes elsewhere', chute({ lastError: ERROR, instances: [instance('live')] }), ['slots_busy', 'queue_position']],
    ['nobody pays', chute({ unpaidSince: T0, need: 1 }), ['owner_unpaid', 'no_instance', 'queue_position']],
    ['all are busy', chute({ instances: [instance('live')] }), ['slots_busy', 'queue_position']],
    ['all there may be are', chute({ instances: [instance('live'), instance('live')] }), ['at_max', 'slots_busy', 'queue_position']],
    ['it was tried', { ...chute({ instances: [instance('live')] }), failed: 1 }, ['slots_busy', 'queue_position', 'retrying']],
    ['it runs', chute({}, { place: null }), ['serving']],
    ['it runs again', { ...chute({}, { place: null }), failed: 2 }, ['retrying', 'serving']],
    ['the chute is silent', { failed: 0, chute: null }, ['no_answer']],
  ])('%s', (_, call, codes) => {
    const reasons = openReasons(call, 'owner', NOW);
    expect(reasons.map((it) => it.code)).toEqual(codes);
    expect(nextOf(reasons)).toEqual({ code: codes[0], text: CALL_WHY[reasons[0]?.code ?? 'no_answer'].next });
  });

  test('the facts are told', () => {
    const waits = chute({ need: 1, unmetSince: T0, urgency: 300, bounty: 7 }, { refusals: [{ code: 'taken', count: 2 }] });
    expect(openReasons(waits, 'owner', NOW).map((it) => [it.count, it.text])).toEqual([
      [1, 'an instance is wanted and no miner has taken it yet: for 5.0 s, urgency 300 of 1000, bounty 7 nano-USD'],
      [2, 'miners asked for it and were refused of late: 2 taken'],
      [1, 'no instance serves'],
      [2, 'it waits in line: place 2 of 3, about 1.2 s to go'],
    ]);
  });

  test('what the program says is told to its owner alone', () => {
    const call = chute({ lastError: ERROR, instances: [instance('starting', 'loading secret words')] });
    expect(JSON.stringify(openReasons(call, 'owner', NOW))).toContain('secret words');
    expect(JSON.stringify(openReasons(call, 'caller', NOW))).not.toContain('secret');
  });
});

test.each([
  [{ state: 'completed', code: '', attempts: [{ waitedMs: 3, cold: false }] }, ['completed']],
  [{ state: 'completed', code: '', attempts: [{ waitedMs: 3_000, cold: true }] }, ['completed', 'waited', 'cold_start']],
  [{ state: 'failed', code: 'queue_timeout', attempts: [] }, ['failed']],
  [
    {
      state: 'failed',
      code: 'miner_lost',
      attempts: [
        { waitedMs: 0, cold: false },
        { waitedMs: 9, cold: false },
      ],
    },
    ['failed', 'retrying'],
  ],
  [{ state: 'cancelled', code: 'cancelled', attempts: [] }, ['cancelled']],
] as const)('a call that ended: %o', ({ state, code, attempts }, codes) => {
  expect(doneReasons({ state, code, attempts: [...attempts] }).map((it) => it.code)).toEqual(codes);
});

test('every code is told', () => {
  expect(Object.keys(CALL_WHY)).toEqual([...CALL_WHY_CODES]);
});
