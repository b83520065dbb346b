/** Logins: for this edge, by the hotkey, once, now. And one session per agent: the newest. */
import { describe, expect, test } from 'vitest';
import { CLOSE, LIMITS, LOGIN_HEADER, loginText, type ChallengeReply, type Login } from '#protocol';
import { edgeMac } from '../../functions/gate/secrets.ts';
import type { Hotkey } from '../../miner-agent/identity/hotkey.ts';
import { makeSessionKeys } from '../../miner-agent/identity/session.ts';
import { until } from '../harness/until.ts';
import { RawAgent, Refused, data, end, json, newHotkey } from './raw-agent.ts';
import { Stage, edge, openAiCode, problemCode } from './stage.ts';

async function challenge(hotkey: string, name = 'raw'): Promise<ChallengeReply> {
  const reply = await fetch(`${edge.api}/agents/challenge`, { method: 'POST', body: JSON.stringify({ hotkey, name }) });
  return (await reply.json()) as ChallengeReply;
}

const encode = (login: unknown): string => Buffer.from(JSON.stringify(login)).toString('base64url');

/** A login as it should be; `fields` are signed, `forged` are put over it afterwards. */
async function loginOf(hotkey: Hotkey, fields: Partial<Login> = {}, forged: Partial<Login> = {}): Promise<Login> {
  const { agent, challenge: given } = await challenge(hotkey.ss58);
  const { sessionKey, sealKey } = makeSessionKeys();
  const expires = Date.now() + 3_600_000;
  const signed = { agent, challenge: given, origin: edge.api, sessionKey, sealKey, expires, versions: [1], ...fields };
  return { ...signed, hotkey: hotkey.ss58, name: 'raw', signature: hotkey.sign(loginText(signed)), ...forged };
}

async function refusal(header: string): Promise<{ status: number; code: string }> {
  try {
    const agent = await RawAgent.dial(edge.api, header);
    agent.close();
  } catch (error) {
    if (error instanceof Refused) return { status: error.status, code: error.code };
    throw error;
  }
  return { status: 101, code: 'it was let in' };
}

/** A challenge as the edge makes it, of another time. */
async function challengeAt(at: number, hotkey: string, agent: string): Promise<string> {
  const open = `${at}.${Buffer.from('0123456789abcdef').toString('base64url')}`;
  const mac = await edgeMac({ EDGE_SECRET: edge.edgeSecret }, 'agent/challenge', `${open}\n${hotkey}\n${agent}`);
  return `${open}.${Buffer.from(mac.subarray(0, 24)).toString('base64url')}`;
}

const NO = { status: 401, code: 'invalid_signature' };

describe('a login is refused', () => {
  const [mine, other] = [newHotkey(), newHotkey()];
  const table: [string, () => Promise<unknown>, { status: number; code: string }][] = [
    ['for another origin', () => loginOf(mine, { origin: 'https://other.example' }), NO],
    ['signed for another origin', () => loginOf(mine, { origin: 'https://other.example' }, { origin: edge.api }), NO],
    ['signed by another hotkey', async () => ({ ...(await loginOf(other)), hotkey: mine.ss58 }), NO],
    ['of another hotkey with its own signature', async () => ({ ...(await loginOf(mine)), hotkey: other.ss58 }), NO],
    ['of another name', () => loginOf(mine, {}, { name: 'other' }), NO],
    ['with the agent id of another', async () => loginOf(mine, { agent: (await challenge(other.ss58)).agent }), NO],
    ['with an agent id nobody has', () => loginOf(mine, { agent: `agt_${'0'.repeat(24)}` }), NO],
    ['with the challenge of another', async () => loginOf(mine, { challenge: (await challenge(other.ss58)).challenge }), NO],
    ['with a challenge of its own', () => loginOf(mine, { challenge: `${Date.now()}.abc.def` }), NO],
    ['with no challenge', () => loginOf(mine, { challenge: '' }), NO],
    ['with a challenge that goes on', async () => loginOf(mine, { challenge: `${(await challenge(mine.ss58)).challenge}.more` }), NO],
    ['with a challenge put over the signed one', async () => loginOf(mine, {}, { challenge: (await challenge(mine.ss58)).challenge }), NO],
    ['with a session key put over the signed one', () => loginOf(mine, {}, { sessionKey: 'ab'.repeat(32) }), NO],
    ['with a seal key put over the signed one', () => loginOf(mine, {}, { sealKey: 'ab'.repeat(32) }), NO],
    ['with an expiry put over the signed one', () => loginOf(mine, {}, { expires: Date.now() + 1_000_000 }), NO],
    ['with versions put over the signed ones', () => loginOf(mine, {}, { versions: [1, 2] }), NO],
    ['that has expired', () => loginOf(mine, { expires: Date.now() - 1 }), NO],
    ['that never expires', () => loginOf(mine, { expires: Date.now() + LIMITS.sessionMs + LIMITS.challengeMs + 10_000 }), NO],
    ['of no version we speak', () => loginOf(mine, { versions: [99] }), { status: 426, code: 'version_unsupported' }],
    ['without a signature', () => loginOf(mine, {}, { signature: '' }), { status: 400, code: 'invalid_request' }],
    ['with a signature of zeros', () => loginOf(mine, {}, { signature: '00'.repeat(64) }), NO],
    ['with more than it should hold', async () => ({ ...(await loginOf(mine)), admin: true }), { status: 400, code: 'invalid_request' }],
    ['that is no object', () => Promise.resolve(null), { status: 400, code: 'invalid_request' }],
  ];
  test.each(table)('%s', async (_, make, expected) => {
    expect(await refusal(encode(await make()))).toEqual(expected);
  });

  test.each([
    ['too old', -LIMITS.challengeMs - 1_000],
    ['of the future', LIMITS.challengeMs + 5_000],
  ])('with a challenge that is %s', async (_, off) => {
    const { agent } = await challenge(mine.ss58);
    expect(await refusal(encode(await loginOf(mine, { challenge: await challengeAt(Date.now() + off, mine.ss58, agent) })))).toEqual(NO);
    // The forgery itself is good: in time it works.
    expect(await refusal(encode(await loginOf(mine, { challenge: await challengeAt(Date.now(), mine.ss58, agent) })))).toMatchObject({
      status: 101,
    });
  });

  test.each(['', 'x', '%%%', encode({}), 'a'.repeat(10_000)])('a header that is none: %s', async (header) => {
    expect(await refusal(header)).toEqual({ status: 400, code: 'invalid_request' });
  });

  test('that was used before', async () => {
    const header = encode(await loginOf(newHotkey()));
    const agent = await RawAgent.dial(edge.api, header);
    expect(await refusal(header)).toEqual({ status: 409, code: 'nonce_used' });
    // The session of the first use is not touched.
    agent.hello();
    await agent.told('welcome');
    agent.close();
    expect(await refusal(header)).toEqual({ status: 409, code: 'nonce_used' });
  });

  test('a challenge that was used before, signed anew', async () => {
    const hotkey = newHotkey();
    const first = await loginOf(hotkey);
    (await RawAgent.dial(edge.api, encode(first))).close();
    expect(await refusal(encode(await loginOf(hotkey, { challenge: first.challenge })))).toEqual({ status: 409, code: 'nonce_used' });
  });

  test('a login without an upgrade', async () => {
    const reply = await fetch(`${edge.api}/agents/connect`, { headers: { [LOGIN_HEADER]: encode(await loginOf(mine)) } });
    expect([reply.status, await problemCode(reply)]).toEqual([400, 'invalid_request']);
  });
});

describe('a session before hello', () => {
  test.each<[string, (agent: RawAgent) => void]>([
    ['a frame', (agent) => agent.frames(json(2))],
    ['a claim', (agent) => agent.say({ type: 'claim', ref: 'r', chute: 'cht_1', version: '00'.repeat(32) })],
    ['a log', (agent) => agent.say({ type: 'log', instance: 'ins_1', seq: 0, lines: [] })],
  ])('%s closes it', async (_, act) => {
    const agent = await RawAgent.login(edge.api);
    act(agent);
    expect(await agent.closed).toBe(CLOSE.protocol);
  });
});

describe('one agent, two sessions', () => {
  test('the older is closed, and its later word counts for nothing', async () => {
    const stage = await Stage.open();
    const old = stage.agent;
    const waiting = stage.chat();
    const it = await old.opened();
    const fresh = await RawAgent.greeted(edge.api, stage.hotkey, { instances: [stage.report('live')] });
    // Sent without waiting for the close: it may still be under way.
    old.frames(json(it.stream), data(it.stream, '{"stale":1}'), end(it.stream, it.open.attempt, 11));
    expect(await old.closed).toBe(CLOSE.superseded);
    // The new session does not hold that stream: the call failed, and nothing of the old word reached the client.
    const reply = await waiting;
    expect([reply.status, await openAiCode(reply)]).toEqual([502, 'miner_lost']);
    // The new session serves.
    const next = stage.chat();
    const again = await fresh.opened();
    fresh.frames(json(again.stream), data(again.stream, '{"fresh":1}'), end(again.stream, again.open.attempt, 11));
    expect(await (await next).text()).toBe('{"fresh":1}');
    fresh.close();
    await stage.close();
  });

  test('epochs only grow', async () => {
    const hotkey = newHotkey();
    const epochs: number[] = [];
    for (let i = 0; i < 3; i++) {
      const agent = await RawAgent.greeted(edge.api, hotkey);
      epochs.push((await agent.told('welcome')).epoch);
    }
    expect(epochs).toEqual([1, 2, 3]);
  });

  test('another name is another agent', async () => {
    const hotkey = newHotkey();
    const [one, two] = await Promise.all([RawAgent.login(edge.api, hotkey, 'one'), RawAgent.login(edge.api, hotkey, 'two')]);
    for (const agent of [one, two]) {
      agent.hello();
      expect((await agent.told('welcome')).epoch).toBe(1);
      agent.close();
    }
  });
});

test('a session is over when its key is: whoever is looked at then has to log in again', async () => {
  const mine = newHotkey();
  const agent = await RawAgent.dial(edge.api, encode(await loginOf(mine, { expires: Date.now() + 500 })));
  let closed = false;
  void agent.closed.then(() => (closed = true));
  agent.hello();
  await until('it is let go', async () => {
    await (await fetch(`${edge.api}/miners/${mine.ss58}`)).body?.cancel();
    return closed;
  });
  expect(await agent.closed).toBe(CLOSE.goaway);
});
