/** An agent runs what it was granted and nothing else, however it says otherwise; code goes to grants alone. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FRAME, encodeJson, encodeU64, frame, type HeldStream } from '#protocol';
import { until } from '../harness/until.ts';
import { RawAgent, data, end, json, newHotkey } from './raw-agent.ts';
import { Stage, client, deploy, edge, granted, openAiCode } from './stage.ts';

const NOTHING = '00'.repeat(32);

async function putCode(bytes = new Uint8Array(randomBytes(300_000))): Promise<{ sha256: string; bytes: number }> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await client.putBlob(sha256, bytes);
  return { sha256, bytes: bytes.byteLength };
}

const openBlob = (stream: number, blob: string, instance: string, offset = 0) =>
  frame(FRAME.OPEN, stream, encodeJson({ blob, instance, offset }));

describe('claims', () => {
  let thief: RawAgent;
  beforeAll(async () => {
    thief = await RawAgent.greeted(edge.api);
  });
  afterAll(() => thief?.close());

  test.each([
    ['a chute nobody has', 'cht_none'],
    ['an id with a wrong MAC', `cht_${'0'.repeat(24)}`],
    ['a path', '../../market/0'],
    ['the id of another kind', 'market'],
  ])('%s is unknown', async (_, chute) => {
    const ref = randomBytes(8).toString('hex');
    thief.say({ type: 'claim', ref, chute, version: NOTHING });
    expect(await thief.told('refusal', (m) => m.ref === ref)).toMatchObject({ code: 'unknown_chute' });
  });

  test('an older version is stale; a second instance is not needed', async () => {
    const it = await deploy();
    thief.say({ type: 'claim', ref: 'old', chute: it.chute, version: NOTHING });
    expect(await thief.told('refusal', (m) => m.ref === 'old')).toMatchObject({ code: 'stale_version' });
    const { agent } = await granted(it);
    thief.say({ type: 'claim', ref: 'second', chute: it.chute, version: it.version });
    expect(await thief.told('refusal', (m) => m.ref === 'second')).toMatchObject({ code: 'taken' });
    agent.close();
    await client.deleteChute(it.chute);
  });
});

describe('reports', () => {
  test('an instance nobody granted is stopped, and takes no call', async () => {
    const it = await deploy();
    const agent = await RawAgent.greeted(edge.api);
    const forged = `ins_${'0'.repeat(24)}`;
    agent.say({ type: 'report', report: { instance: forged, chute: it.chute, version: it.version, state: 'live', detail: '' } });
    expect(await agent.told('stop', (m) => m.instance === forged)).toMatchObject({ reason: 'unknown_instance' });
    expect((await client.chute(it.chute)).instances).toEqual([]);
    agent.close();
    await client.deleteChute(it.chute);
  });

  test('in hello too', async () => {
    const it = await deploy();
    const forged = `ins_${'1'.repeat(24)}`;
    const report = { instance: forged, chute: it.chute, version: it.version, state: 'live' as const, detail: '' };
    const agent = await RawAgent.greeted(edge.api, newHotkey(), { instances: [report] });
    await agent.told('stop', (m) => m.instance === forged);
    agent.close();
    await client.deleteChute(it.chute);
  });

  test('the instance of another agent is not taken over, nor ended, nor written to', async () => {
    const stage = await Stage.open();
    const thief = await RawAgent.greeted(edge.api);
    thief.say({ type: 'report', report: stage.report('live') });
    await thief.told('stop', (m) => m.instance === stage.instance);
    thief.say({ type: 'report', report: stage.report('stopped') });
    thief.say({ type: 'report', report: { ...stage.report('failed'), detail: 'the thief says so' } });
    thief.say({ type: 'log', instance: stage.instance, seq: 0, lines: [{ at: 0, source: 'out', text: 'the thief was here' }] });
    await thief.settled();
    // Its word to the Chute may be under way; the honest call that follows is later than it.
    const waiting = stage.chat();
    const it = await stage.agent.opened();
    stage.agent.frames(json(it.stream), data(it.stream, '{}'), end(it.stream, it.open.attempt, 2));
    expect(await (await waiting).text()).toBe('{}');
    expect(await stage.state()).toBe('live');
    const logs = await stage.request(`/chutes/${stage.it.chute}/logs`, { method: 'GET' });
    expect(await logs.text()).not.toContain('thief');
    thief.close();
    await stage.close();
  });

  test('a chute that does not exist is not made by being named', async () => {
    const agent = await RawAgent.greeted(edge.api);
    for (const chute of ['cht_none', `cht_${'0'.repeat(24)}`, 'x']) {
      const instance = `ins_${chute}`;
      agent.say({ type: 'report', report: { instance, chute, version: NOTHING, state: 'live', detail: '' } });
      expect(await agent.told('stop', (m) => m.instance === instance)).toMatchObject({ reason: 'unknown_instance' });
    }
    agent.close();
  });

  test('a chute is not served under the version of another', async () => {
    const stage = await Stage.open();
    stage.agent.say({ type: 'report', report: { ...stage.report('live'), version: NOTHING } });
    await stage.agent.told('stop', (m) => m.instance === stage.instance);
    await stage.close();
  });
});

describe('held streams', () => {
  test('a call of another agent is not taken up', async () => {
    const stage = await Stage.open();
    const waiting = stage.chat();
    const it = await stage.agent.opened();
    const stolen: HeldStream = {
      stream: it.stream,
      attempt: it.open.attempt,
      instance: stage.instance,
      received: 0,
      requestEnded: true,
      kept: 0,
      produced: 10,
      base: '',
      latest: '',
    };
    const thief = await RawAgent.greeted(edge.api, newHotkey(), { streams: [stolen] });
    expect(await thief.reset(it.stream)).toBe('cancelled');
    thief.frames(json(it.stream), data(it.stream, '{"stolen":1}'), end(it.stream, it.open.attempt, 12));
    await thief.settled();
    stage.agent.frames(json(it.stream), data(it.stream, '{"ok":1}'), end(it.stream, it.open.attempt, 8));
    expect(await (await waiting).text()).toBe('{"ok":1}');
    thief.close();
    await stage.close();
  });

  test('an agent that lies about what it holds fails its own call alone', async () => {
    const stage = await Stage.open();
    const waiting = stage.chat();
    const it = await stage.agent.opened();
    stage.agent.close();
    await stage.agent.closed;
    const lie: HeldStream = {
      stream: it.stream,
      attempt: it.open.attempt,
      instance: stage.instance,
      received: 9_999_999,
      requestEnded: false,
      kept: 5_000,
      produced: 10,
      base: 'AAAA',
      latest: 'AAAA',
    };
    const back = await RawAgent.greeted(edge.api, stage.hotkey, { instances: [stage.report('live')], streams: [lie] });
    const reply = await waiting;
    expect([reply.status, await openAiCode(reply)]).toEqual([502, 'miner_lost']);
    back.close();
    await stage.close();
  });
});

describe('code', () => {
  test('of its own grant comes, within the credit it gave', async () => {
    const code = await putCode();
    const it = await deploy({}, { code });
    const { agent, instance, spec } = await granted(it);
    expect(spec.code).toEqual(code);
    agent.frames(openBlob(1, code.sha256, instance));
    const taken = () => agent.received.filter((f) => f.stream === 1 && f.type === FRAME.DATA);
    const size = () => taken().reduce((sum, f) => sum + f.payload.byteLength, 0);
    await agent.until('a window of code', () => (size() === 262_144 ? true : undefined));
    expect(agent.received.some((f) => f.stream === 1 && f.type === FRAME.END)).toBe(false);
    agent.frames(frame(FRAME.CREDIT, 1, encodeU64(code.bytes)));
    await agent.until('all of it', () => agent.received.find((f) => f.stream === 1 && f.type === FRAME.END));
    expect(
      createHash('sha256')
        .update(Buffer.concat(taken().map((f) => f.payload)))
        .digest('hex'),
    ).toBe(code.sha256);
    agent.close();
    await client.deleteChute(it.chute);
  });

  test('of another chute, another version, another instance, or of nobody: not found', async () => {
    const [mine, theirs, next] = await Promise.all([putCode(), putCode(), putCode()]);
    const [it, other] = await Promise.all([deploy({}, { code: mine }), deploy({}, { code: theirs })]);
    const [{ agent, instance }, holder] = await Promise.all([granted(it), granted(other)]);
    // The next version of the same chute has other code.
    const name = it.name.split('/')[1];
    await deploy({ name }, { code: next });
    const asks: [number, string, string][] = [
      [1, theirs.sha256, instance],
      [3, next.sha256, instance],
      [5, theirs.sha256, holder.instance],
      [7, NOTHING, instance],
      [9, mine.sha256, 'ins_none'],
      [11, mine.sha256, ''],
    ];
    for (const [stream, blob, of] of asks) {
      agent.frames(openBlob(stream, blob, of));
      expect(await agent.reset(stream), `${stream}`).toBe('not_found');
    }
    agent.close();
    holder.agent.close();
    await Promise.all([client.deleteChute(it.chute), client.deleteChute(other.chute)]);
  });

  test('is not for an agent that only says it runs the instance', async () => {
    const code = await putCode();
    const it = await deploy({}, { code });
    const holder = await granted(it);
    const report = { instance: holder.instance, chute: it.chute, version: it.version, state: 'live' as const, detail: '' };
    const thief = await RawAgent.greeted(edge.api, newHotkey(), { instances: [report] });
    thief.frames(openBlob(1, code.sha256, holder.instance));
    expect(await thief.reset(1)).toBe('not_found');
    thief.close();
    holder.agent.close();
    await client.deleteChute(it.chute);
  });

  test('is not for an instance that ended', async () => {
    const code = await putCode();
    const it = await deploy({}, { code });
    const { agent, instance } = await granted(it);
    agent.say({ type: 'report', report: { instance, chute: it.chute, version: it.version, state: 'stopped', detail: '' } });
    agent.frames(openBlob(1, code.sha256, instance));
    expect(await agent.reset(1)).toBe('not_found');
    agent.close();
    await client.deleteChute(it.chute);
  });

  test('from an offset beyond its end is nothing', async () => {
    const code = await putCode(new Uint8Array(randomBytes(100)));
    const it = await deploy({}, { code });
    const { agent, instance } = await granted(it);
    agent.frames(openBlob(1, code.sha256, instance, 2 ** 40));
    const over = await agent.until('an end', () =>
      agent.received.find((f) => f.stream === 1 && (f.type === FRAME.END || f.type === FRAME.RESET)),
    );
    expect(agent.received.filter((f) => f.stream === 1 && f.type === FRAME.DATA)).toEqual([]);
    expect(over).toBeDefined();
    agent.close();
    await client.deleteChute(it.chute);
  });
});

test('a miner that lies about being busy only sends the call away', async () => {
  const stage = await Stage.open();
  const waiting = stage.chat();
  const it = await stage.agent.opened();
  stage.agent.frames(frame(FRAME.RESET, it.stream, encodeJson({ code: 'busy' })));
  const reply = await waiting;
  expect([reply.status, await openAiCode(reply)]).toEqual([429, 'no_capacity']);
  await until('the slot is free', async () => (await stage.state()) === 'live');
  await stage.close();
});
