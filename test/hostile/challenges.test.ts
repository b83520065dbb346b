/** Challenges against a real edge: what judges may ask, what agents may upload, who shuts the gate. */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { challengeId, slotOf, DEVELOPMENT, CHALLENGE_LIMITS, type Transcript, type Verdict } from '#protocol/challenge/index.ts';
import { JUDGING_LIMITS } from '#protocol/judging.ts';
import { agentIdOf } from '../../functions/gate/ids.ts';
import { judgeSeed } from '../../dev/network.ts';
import { hotkeyFromSeed, signedHeaders, type Hotkey } from '../../validator-cron/hotkey.ts';
import { until } from '../harness/until.ts';
import { RawAgent, newHotkey } from './raw-agent.ts';
import { Stage, edge } from './stage.ts';

const judge = hotkeyFromSeed(judgeSeed(edge.edgeSecret));
const stranger = hotkeyFromSeed(randomBytes(32).toString('hex'));

interface Answer {
  status: number;
  json: Record<string, unknown>;
}

async function answer(reply: Response): Promise<Answer> {
  return { status: reply.status, json: (await reply.json()) as Record<string, unknown> };
}

async function post(path: string, value: unknown, as: Hotkey = judge): Promise<Answer> {
  const body = new TextEncoder().encode(JSON.stringify(value));
  const nonceHex = randomBytes(16).toString('hex');
  const headers = signedHeaders(as, { origin: edge.api, method: 'POST', target: path, body, timestampMs: Date.now(), nonceHex });
  return answer(await fetch(edge.api + path, { method: 'POST', body, headers: { ...headers, 'content-type': 'application/json' } }));
}

const get = async (path: string): Promise<Answer> => answer(await fetch(edge.api + path));

const upload = async (id: string, token: string, body: Uint8Array<ArrayBuffer>): Promise<Answer> =>
  answer(await fetch(`${edge.api}/challenges/${id}`, { method: 'PUT', body, headers: { authorization: `Bearer ${token}` } }));

/** A slot that has some seconds left. */
async function roomySlot(): Promise<number> {
  const lengthMs = DEVELOPMENT.cadence.slotSeconds * 1000;
  await until('a slot with room', () => Date.now() % lengthMs < lengthMs - 2_500);
  return slotOf(DEVELOPMENT, Date.now());
}

const device = (id: string) => ({ id, kind: 'cpu' as const, name: 'test', memoryMb: 64 });
const inventory = { agentVersion: '0', platform: 'test', runtimes: ['process' as const], devices: ['a', 'b'].map(device), region: 'test' };

/** A machine of a hotkey with two devices that say what they are. */
async function machine(hotkey = newHotkey(), name = 'raw'): Promise<{ agent: RawAgent; id: string }> {
  const agent = await RawAgent.login(edge.api, hotkey, name);
  agent.hello({ inventory });
  await agent.told('welcome');
  return { agent, id: await agentIdOf(hotkey.ss58, name, { EDGE_SECRET: edge.edgeSecret }) };
}

const miner = newHotkey();
const { agent, id: agentId } = await machine(miner);

/** Asked of one device: the id, and what the edge says of it. */
async function ask(target: string, kind = 'pow.mm'): Promise<{ id: string; state: string; why: string }> {
  const slot = await roomySlot();
  const { status, json } = await post('/audit/challenges', { slot, asks: [{ kind, target }] });
  expect(status, JSON.stringify(json)).toBe(200);
  return (json['items'] as { id: string; state: string; why: string }[])[0] ?? { id: '', state: '', why: '' };
}

/** One that was committed to and is to be opened. */
async function sampled(from: RawAgent, target: string): Promise<{ id: string; token: string }> {
  const { id, state, why } = await ask(target);
  expect({ state, why }).toEqual({ state: 'started', why: '' });
  const { round } = await from.told('challenge', (m) => m.id === id);
  from.say({ type: 'commit', id, root: 'ab'.repeat(32), seen: round, helper: 'he\0lper', signature: 'cd'.repeat(64) });
  const { token } = await from.told('sample', (m) => m.id === id);
  return { id, token };
}

async function ended(id: string): Promise<Transcript> {
  let found: Transcript | null = null;
  await until('it is on record', async () => {
    const { status, json } = await get(`/audit/transcripts/${id}`);
    found = status === 200 && json['end'] !== null ? (json as unknown as Transcript) : null;
    return found !== null;
  });
  return found as unknown as Transcript;
}

async function opened(from: RawAgent, target: string): Promise<Transcript> {
  const { id, token } = await sampled(from, target);
  expect((await upload(id, token, randomBytes(64))).status).toBe(200);
  return ended(id);
}

function verdict({ id, kind, target, hotkey }: Transcript, reason: Verdict['reason']): Verdict {
  return { id, kind, target, hotkey, reason, elapsed_ms: null, rate: null, class: null, wrong: null };
}

test('what judges may ask', async () => {
  const slot = await roomySlot();
  const target = `${agentId}/a`;
  const asks = [{ kind: 'pow.mm', target }];
  const refused = async (body: object, as?: Hotkey) => {
    const { status, json } = await post('/audit/challenges', body, as);
    return [status, json['code']];
  };
  expect(await refused({ slot, asks }, stranger)).toEqual([403, 'insufficient_scope']);
  expect(await refused({ slot: slot - DEVELOPMENT.cadence.slotSeconds, asks })).toEqual([400, 'invalid_request']);
  expect(await refused({ slot: slot + 2 * DEVELOPMENT.cadence.slotSeconds, asks })).toEqual([400, 'invalid_request']);
  expect(await refused({ slot: slot + 1, asks })).toEqual([400, 'invalid_request']);
  expect(await refused({ slot, asks: [] })).toEqual([400, 'invalid_request']);
  expect(await refused({ slot, asks: Array.from({ length: JUDGING_LIMITS.asks + 1 }, () => asks[0]) })).toEqual([400, 'invalid_request']);
  expect(await refused({ slot, asks: [{ kind: 'rtt', target }] })).toEqual([400, 'invalid_request']);
  const none = ['agt_0123456789abcdefghjkmnpq/a', `${agentId}/z`, agentId, 'ins_1'];
  const { json } = await post('/audit/challenges', { slot, asks: none.map((of) => ({ kind: 'pow.mem', target: of })) });
  expect(json['items']).toEqual(none.map((of) => ({ id: challengeId('pow.mem', of, slot), state: 'refused', why: 'no_target' })));
});

test('who can be tested is listed, each with when it was first seen', async () => {
  const items: { target: string; since: number }[] = [];
  await until('the agent is on record', async () => {
    items.length = 0;
    let after: string | null = '';
    while (after !== null) {
      const { json } = await get(`/audit/targets?after=${after}`);
      items.push(...(json['items'] as typeof items));
      after = json['next'] as string | null;
    }
    return items.some((item) => item.target === `${agentId}/a`);
  });
  const found = items.find((item) => item.target === `${agentId}/b`);
  expect(found).toMatchObject({
    what: 'device',
    hotkey: miner.ss58,
    agent: agentId,
    device: 'b',
    instance: null,
    kinds: ['pow.mm', 'pow.mem'],
  });
  expect((found?.since ?? 1) % DEVELOPMENT.cadence.slotSeconds).toBe(0);
});

test('a challenge goes its way, and an upload is good for it alone, once', async () => {
  const { id, token } = await sampled(agent, `${agentId}/a`);
  const [, , mac = ''] = token.split('.');
  const bytes = randomBytes(300);
  for (const [what, wrong] of [
    ['no token', ''],
    [
      'another agent',
      token.replace(
        agentId,
        agentId.replace(/.$/, (c) => (c === '0' ? '1' : '0')),
      ),
    ],
    ['more time', `${agentId}.9999999999999.${mac}`],
  ] as const)
    expect((await upload(id, wrong, bytes)).status, what).toBe(401);
  expect((await upload(`${id.slice(0, -1)}x`, token, bytes)).status).toBe(401);
  expect((await upload(id, token, randomBytes(CHALLENGE_LIMITS.openingBytes + 1))).status).toBe(413);
  expect((await upload(id, token, bytes)).status).toBe(200);
  expect((await upload(id, token, randomBytes(8))).status, 'the first stands').toBe(404);
  const transcript = await ended(id);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  expect(transcript).toMatchObject({
    id,
    end: 'opened',
    hotkey: miner.ss58,
    agent: agentId,
    opening: { sha256, bytes: 300 },
    commit: { helper: 'helper' },
  });
  expect(transcript.login.hotkey).toBe(miner.ss58);
  expect(transcript.sample?.round).toBeGreaterThan(transcript.round);
  const reply = await fetch(`${edge.api}/audit/transcripts/${id}/opening`);
  expect(Buffer.from(await reply.arrayBuffer()).equals(bytes)).toBe(true);
  const { json } = await get(`/audit/transcripts?slot_from=${transcript.slot}&slot_to=${transcript.slot + 1}`);
  expect(json['items']).toContainEqual(expect.objectContaining({ id, transcript }));
});

test('the feed tells a commit before its end, in one order', async () => {
  const { id } = await sampled(agent, `${agentId}/b`);
  const seqOf = async (): Promise<{ seq: number; commit: unknown; transcript: unknown } | undefined> => {
    for (let after: string | null = '0'; after !== null;) {
      const { json }: Answer = await get(`/audit/transcripts?after=${after}`);
      const items = json['items'] as { id: string; seq: number; commit: unknown; transcript: unknown }[];
      const found = items.find((item) => item.id === id);
      if (found !== undefined) return found;
      after = json['next'] as string | null;
    }
    return undefined;
  };
  await until('the commit is told', async () => (await seqOf()) !== undefined);
  const first = await seqOf();
  expect(first).toMatchObject({ commit: { root: 'ab'.repeat(32) }, transcript: null });
});

describe('verdicts', () => {
  test('are of challenges that ended, by judges, and the first word stands', async () => {
    const { agent: from, id: own } = await machine();
    const transcript = await opened(from, `${own}/a`);
    const proven = verdict(transcript, 'proven');
    expect((await post('/audit/verdicts', { items: [proven] }, stranger)).json['code']).toBe('insufficient_scope');
    for (const wrong of [{ id: 'chl_none' }, { target: `${own}/b` }, { hotkey: miner.ss58 }, { kind: 'pow.mem' as const }])
      expect((await post('/audit/verdicts', { items: [{ ...proven, ...wrong }] })).status, JSON.stringify(wrong)).toBe(400);
    expect((await post('/audit/verdicts', { items: [{ ...proven, score: 1 }] })).status).toBe(400);
    expect((await post('/audit/verdicts', { items: Array.from({ length: 257 }, () => proven) })).status).toBe(400);
    expect((await post('/audit/verdicts', { items: [proven] })).json).toEqual({ taken: 1 });
    expect((await post('/audit/verdicts', { items: [verdict(transcript, 'wrong_leaf')] })).json, 'a second word').toEqual({ taken: 0 });
    const { json } = await get(`/miners/${transcript.hotkey}/verdicts`);
    expect(json).toMatchObject({
      gated: null,
      items: [{ id: transcript.id, reason: 'proven', outcome: 'pass', judge: judge.ss58, cost: null }],
    });
    const { slot } = transcript;
    const listed = await get(`/audit/verdicts?slot_from=${slot}&slot_to=${slot + 1}&judge=${judge.ss58}&hotkey=${transcript.hotkey}`);
    expect(listed.json['items']).toEqual([{ ...proven, judge: judge.ss58, slot, at: expect.any(Number) as number }]);
    from.close();
  });

  test('a hard one of a judge of the gate stops paid calls at once, at every agent of the hotkey, and says why', async () => {
    const stage = await Stage.open({ public: true });
    const { hotkey } = stage;
    // Another machine of the same hotkey is the one that is found out.
    const { agent: second, id: own } = await machine(hotkey, 'second');
    const transcript = await opened(second, `${own}/a`);
    expect((await post('/audit/verdicts', { items: [verdict(transcript, 'wrong_leaf')] })).json).toEqual({ taken: 1 });
    await stage.agent.told('stop', (m) => m.instance === stage.instance && m.reason === 'gated');
    stage.agent.say({ type: 'claim', ref: 'again', chute: stage.it.chute, version: stage.it.version });
    expect(await stage.agent.told('refusal', (m) => m.ref === 'again')).toMatchObject({ code: 'cooling_down' });
    const { json } = await get(`/miners/${hotkey.ss58}/verdicts`);
    expect(json).toMatchObject({
      gated: { reason: 'wrong_leaf', challenge: transcript.id },
      items: [
        { outcome: 'hard', text: expect.any(String) as string, next: expect.any(String) as string, cost: { forfeited_nanousd: '0' } },
      ],
    });
    expect((await get(`/miners/${hotkey.ss58}/why`)).json['agents']).toContainEqual(
      expect.objectContaining({ next: expect.objectContaining({ code: 'gated' }) as object }),
    );
    // One that comes later is told when it says hello.
    const { agent: third } = await machine(hotkey, 'third');
    await until('its gate is shut', async () => {
      third.say({ type: 'claim', ref: randomBytes(4).toString('hex'), chute: stage.it.chute, version: stage.it.version });
      await third.settled();
      return third.texts.some((m) => m.type === 'refusal' && m.code === 'cooling_down');
    });
    second.close();
    third.close();
    await stage.close();
  });
});
