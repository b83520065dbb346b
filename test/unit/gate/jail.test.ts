/** Whom a jail reaches: every agent of the hotkey, however many names it has made; and housekeeping tells them again. */
import { expect, test, vi } from 'vitest';
import type { Env } from '../../../functions/env.ts';
import { tellJails } from '../../../functions/gate/jail.ts';

const agents = Array.from({ length: 2_300 }, (_, at) => `agt_${String(at).padStart(4, '0')}`);
const until = new Date(2_000_000_000_000);
vi.mock('#db', () => ({
  connect: () => ({}),
  newJails: async () => [{ hotkey: '5M', until, challengeId: 'chl_1', reason: 'wrong_leaf' }],
  forfeit: async () => undefined,
  agentsHere: async (_: object, ask: { after: string; limit: number }) => agents.filter((id) => id > ask.after).slice(0, ask.limit),
}));
vi.mock('../../../functions/events.ts', () => ({ event: () => undefined, whyOf: String }));

test('an object of the last page is told as well, whatever the others answer', async () => {
  const told = new Set<string>();
  const shutGate = (name: string) => async (at: number) => {
    if (name.includes(agents[0] ?? '')) throw new Error('away');
    expect(at).toBe(until.getTime());
    told.add(name);
  };
  const miner = { idFromName: (name: string) => name, get: (name: string) => ({ shutGate: shutGate(name) }) };
  expect(await tellJails({ MINER: miner } as unknown as Env)).toBe(1);
  expect(told.size).toBe(agents.length - 1);
});
