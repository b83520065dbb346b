/** What a Miner object asks of the record when its agent says hello: who is kept away stays away, whatever can be written of it. */
import { beforeEach, expect, test, vi } from 'vitest';
import type { Env } from '../../../functions/env.ts';
import { MinerCore } from '../../../functions/miner/core.ts';
import { runErrand } from '../../../functions/miner/errands.ts';

const record = vi.hoisted(() => ({ up: true, jail: null as { until: Date } | null, written: 0 }));
vi.mock('#db', () => ({
  connect: () => ({}),
  jailOf: async () => record.jail,
  upsertAgent: async () => {
    if (!record.up) throw new Error('not now');
    record.written += 1;
  },
}));
vi.mock('../../../functions/events.ts', () => ({ event: () => undefined, whyOf: String }));

beforeEach(() => Object.assign(record, { up: true, jail: null, written: 0 }));

function greeted(): MinerCore {
  const core = new MinerCore([], 10, () => new Uint8Array(32), 0);
  core.onLogin('agt_1', '5M', 'box', 0, 2);
  const inventory = { agentVersion: '0', platform: 'test', runtimes: [], devices: [], region: 'x' };
  core.onText({ type: 'hello', inventory, instances: [], streams: [] }, 0);
  return core;
}

const again = (core: MinerCore, at: number) => core.onAlarm(at).filter((effect) => effect.do === 'record').length;

test('an agent is written once', async () => {
  const core = greeted();
  await runErrand({ do: 'record' }, core, {} as Env);
  expect([record.written, again(core, 60_000)]).toEqual([1, 0]);
});

test('one that cannot be written now is written later, and its gate is shut at once', async () => {
  Object.assign(record, { up: false, jail: { until: new Date(Date.now() + 60_000) } });
  const core = greeted();
  const effects = await runErrand({ do: 'record' }, core, {} as Env);
  expect(effects).toContainEqual(expect.objectContaining({ do: 'put', row: expect.objectContaining({ kind: 'gate' }) as object }));
  expect([core.why(0)?.gated, again(core, 4_000), again(core, 60_000)]).toEqual([true, 0, 1]);
});
