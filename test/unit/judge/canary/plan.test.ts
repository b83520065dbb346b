import { expect, test } from 'vitest';
import type { AuditInstance } from '#protocol/audit.ts';
import { canaryAsk, probeBody, probesOf } from '../../../../validator-cron/canary/ask.ts';
import { plan, PLAN_LIMITS } from '../../../../validator-cron/canary/plan.ts';
import { ALICE, anAgent, anInstance, BOB, FACTS } from '../made.ts';

const facts = { ...FACTS, judge: ALICE, beacon: 'ab'.repeat(32) };
const chat = { method: 'POST', path: '/v1/chat/completions', retry: 'safe' } as const;
const embed = { method: 'POST', path: '/v1/embeddings', retry: 'safe' } as const;

test.for<{ what: string; of: Partial<AuditInstance>; paths: string[] }>([
  {
    what: 'an engine with no cords is asked to chat, then to embed',
    of: {},
    paths: ['/v1/chat/completions', '/v1/embeddings'],
  },
  { what: 'an engine that lists chat', of: { cords: [chat, embed] }, paths: ['/v1/chat/completions'] },
  { what: 'an engine that only embeds', of: { cords: [embed] }, paths: ['/v1/embeddings'] },
  { what: 'a program with no cords', of: { template: 'http' }, paths: ['/call/cht_1/health'] },
  {
    what: 'a program that lists its health',
    of: { template: 'http', cords: [{ method: 'GET', path: '/health', retry: 'safe' }] },
    paths: ['/call/cht_1/health'],
  },
  {
    what: 'a program that lists another GET',
    of: { template: 'http', cords: [{ method: 'GET', path: '/v', retry: 'safe' }] },
    paths: ['/call/cht_1/v'],
  },
  {
    what: 'a program of which only a POST is known',
    of: { template: 'http', cords: [{ method: 'POST', path: '/draw', retry: 'never' }] },
    paths: [],
  },
  {
    what: 'a GET with a parameter',
    of: { template: 'http', cords: [{ method: 'GET', path: '/x/{id}', retry: 'safe' }] },
    paths: [],
  },
])('$what', ({ of, paths }) => {
  expect(probesOf(anInstance(of)).map((p) => p.path)).toEqual(paths);
});

test('the same list in any order gives the same plan', () => {
  const agents = Array.from({ length: 40 }, (_, i) =>
    anAgent(`agt_${i}`, i % 3 === 0 ? ALICE : BOB, [anInstance({ instance: `ins_${i}` })]),
  );
  const tasks = plan(agents, facts);
  expect(plan(agents.toReversed(), facts)).toEqual(tasks);
  expect(tasks.filter((t) => t.type === 'rtt')).toHaveLength(PLAN_LIMITS.pings);
  expect(tasks.filter((t) => t.type === 'canary')).toHaveLength(PLAN_LIMITS.canaries);
  expect(plan(agents, { ...facts, beacon: 'cd'.repeat(32) }).map((t) => t.id)).not.toEqual(tasks.map((t) => t.id));
});

test('a miner with a thousand instances leaves the others their turn', () => {
  const crowd = anAgent(
    'agt_crowd',
    ALICE,
    Array.from({ length: 1000 }, (_, i) => anInstance({ instance: `ins_${i}` })),
  );
  const tasks = plan([crowd, anAgent('agt_small', BOB, [anInstance({ instance: 'ins_small' })])], facts, {
    pings: 1,
    canaries: 2,
    comparisons: 0,
  });
  expect(tasks.filter((t) => t.type === 'canary').map((t) => t.hotkey)).toEqual(expect.arrayContaining([ALICE, BOB]));
});

test('an agent or instance listed twice is tested once', () => {
  const twice = anAgent('agt_1', ALICE, [anInstance(), anInstance()]);
  expect(plan([twice, twice], facts).map((t) => t.type)).toEqual(['canary', 'rtt']);
});

test('ids differ by judge, round, kind and target, and nothing else', () => {
  const agents = [anAgent('agt_1', ALICE, [anInstance()])];
  const ids = [facts, { ...facts, judge: BOB }, { ...facts, round: 8 }].flatMap((f) => plan(agents, f).map((t) => t.id));
  expect(new Set(ids).size).toBe(6);
  expect(plan(agents, { ...facts, beacon: '00'.repeat(32) }).map((t) => t.id)).toEqual(plan(agents, facts).map((t) => t.id));
});

test('the call is small, seeded and streamed', () => {
  const ask = canaryAsk('0123456789abcdef'.repeat(4));
  expect(probeBody({ kind: 'chat', method: 'POST', path: '/v1/chat/completions' }, 'demo/chat', ask)).toEqual({
    model: 'demo/chat',
    messages: [{ role: 'user', content: ask.prompt }],
    max_tokens: 12,
    seed: ask.seed,
    stream: true,
  });
  expect(ask.prompt.length).toBeGreaterThan(10);
  expect(canaryAsk('fedcba9876543210'.repeat(4)).prompt).not.toBe(ask.prompt);
});
