/** Records for the tables: whole and plain unless told otherwise. */
import type { AuditAgent, AuditInstance, Observation } from '#protocol/audit.ts';

export const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
/** For a plan: no comparisons, everyone an entity. */
export const FACTS = {
  judge: ALICE,
  round: 60,
  beacon: '00'.repeat(32),
  secret: '11'.repeat(32),
  compareEvery: 0,
  entityOf: (hotkey: string) => hotkey,
};
export const BOB = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';

export function anInstance(of: Partial<AuditInstance> = {}): AuditInstance {
  return {
    instance: 'ins_1',
    chute: 'cht_1',
    name: 'demo/chat',
    version: 'a'.repeat(64),
    template: 'openai',
    health: '/health',
    cords: [],
    ...of,
  };
}

export function anAgent(agent: string, hotkey: string, instances: AuditInstance[] = []): AuditAgent {
  return { agent, hotkey, instances };
}

/** An observation of the epoch that starts at 3600 s. */
export function anObservation(of: Partial<Observation> = {}): Observation {
  const reason = of.reason ?? 'answered';
  return {
    id: 'obs_1',
    type: 'canary',
    agent: 'agt_1',
    hotkey: ALICE,
    instance: 'ins_1',
    epoch: 3600,
    round: 3660,
    ok: reason === 'answered',
    reason,
    value_ms: 900,
    first_byte_ms: 300,
    tokens: 5,
    call: null,
    compared: null,
    at: 3_660_000,
    ...of,
  };
}
