/** Every bound of the wire, broken by an agent that is logged in: it goes, or its stream does; who called it is told. */
import { afterAll, describe, expect, test } from 'vitest';
import { CLOSE, FRAME, LIMITS, encodeFrames, encodeJson, frame, type HeldStream } from '#protocol';
import { RawAgent, data, end, events, head, json, utf8, type Opened } from './raw-agent.ts';
import { Stage, client, deploy, edge, granted, openAiCode } from './stage.ts';

/** Where each limit is tripped. A new limit without a word here does not compile. */
const TRIPPED = {
  messageBytes: 'below',
  messageFrames: 'below',
  controlBytes: 'below',
  dataBytes: 'below',
  headBytes: 'below',
  headers: 'below',
  windowBytes: 'below',
  eventBytes: 'below',
  logLineBytes: 'below',
  logLines: 'below',
  instances: 'below; while it runs: test/unit/miner/attempt',
  streams: 'below; while it runs: test/unit/miner/attempt',
  bufferedBodyBytes: 'bodies.test.ts',
  bodyBytes: 'bodies.test.ts',
  codeBytes: 'bodies.test.ts',
  challengeMs: 'sessions.test.ts',
  sessionMs: 'sessions.test.ts',
  replayBytes: 'the agent keeps it: test/unit/agent',
  retainBytes: 'the agent keeps it: test/unit/agent',
  retainTotalBytes: 'the agent keeps it: test/unit/agent',
  sealedChars: 'test/unit/chute/secrets',
  silenceMs: 'silence.test.ts',
  pingMs: 'the agent keeps it: test/unit/agent',
  resumeMs: 'test/unit/miner/attempt',
  idleMs: 'test/unit/miner/attempt',
  firstByteMs: 'test/unit/miner/attempt',
  callMs: 'test/unit/miner/attempt',
  checkpointMs: 'test/unit/miner/attempt',
} satisfies Record<keyof typeof LIMITS, string>;

test('every limit has its place', () => {
  expect(Object.keys(TRIPPED).toSorted()).toEqual(Object.keys(LIMITS).toSorted());
});

const stages: Stage[] = [];
afterAll(async () => {
  for (const stage of stages) await stage.close();
  expect((await fetch(`${edge.api}/health`)).status).toBe(200);
});

async function open(fields?: Record<string, unknown>): Promise<Stage> {
  const stage = await Stage.open(fields);
  stages.push(stage);
  return stage;
}

const zeros = (bytes: number): Uint8Array => new Uint8Array(bytes);
const many = (count: number): [string, string][] => Array.from({ length: count }, (_, i) => [`h${i}`, 'x']);
const line = (text: string) => ({ at: 0, source: 'out' as const, text });

describe('the socket is closed, and who waited for a reply is told', () => {
  const held = (n: number): HeldStream => ({
    stream: 2 * n,
    attempt: `01890000-0000-7000-8000-${String(n).padStart(12, '0')}/0`,
    instance: 'ins_1',
    received: 0,
    requestEnded: true,
    kept: 0,
    produced: 0,
    base: '',
    latest: '',
  });

  test.concurrent.for<[string, (agent: RawAgent, stage: Stage, it: Opened) => void]>([
    ['message bytes', (agent) => agent.raw(zeros(LIMITS.messageBytes + 1))],
    ['frames of one message', (agent) => agent.raw(tooManyFrames())],
    ['control bytes', (agent) => agent.raw(JSON.stringify({ type: 'pong', id: 'x'.repeat(LIMITS.controlBytes) }))],
    ['control bytes in letters of three', (agent) => agent.raw(JSON.stringify({ type: 'pong', id: '€'.repeat(LIMITS.controlBytes / 3) }))],
    ['DATA bytes', (agent, _, it) => agent.frames(json(it.stream), data(it.stream, zeros(LIMITS.dataBytes + 1)))],
    ['HEAD bytes', (agent, _, it) => agent.frames(frame(FRAME.HEAD, it.stream, zeros(LIMITS.headBytes + 1)))],
    ['END bytes', (agent, _, it) => agent.frames(frame(FRAME.END, it.stream, zeros(4097)))],
    [
      'log lines',
      (agent, stage) => agent.say({ type: 'log', instance: stage.instance, seq: 0, lines: Array(LIMITS.logLines + 1).fill(line('')) }),
    ],
    [
      'a log line',
      (agent, stage) => agent.say({ type: 'log', instance: stage.instance, seq: 0, lines: [line('x'.repeat(LIMITS.logLineBytes + 1))] }),
    ],
    [
      'control messages',
      (agent) => {
        for (let i = 0; i < 3_000; i++) agent.say({ type: 'pong', id: 'x' });
      },
    ],
    ['detail of a report', (agent, stage) => agent.say({ type: 'report', report: { ...stage.report('live'), detail: 'x'.repeat(513) } })],
  ])('%s', async ([, act], { expect }) => {
    const stage = await open();
    const waiting = stage.chat();
    const it = await stage.agent.opened();
    act(stage.agent, stage, it);
    expect(await stage.agent.closed).toBe(CLOSE.limit);
    const reply = await waiting;
    expect(reply.status).toBe(502);
    expect(await openAiCode(reply)).toBe('miner_lost');
  });

  test('blobs at once', async () => {
    const sha256 = await aBlob();
    const stage = await Stage.open({}, { code: { sha256, bytes: 4 } });
    stages.push(stage);
    const openBlob = (stream: number) => frame(FRAME.OPEN, stream, encodeJson({ blob: sha256, instance: stage.instance, offset: 0 }));
    stage.agent.frames(...Array.from({ length: 9 }, (_, i) => openBlob(2 * i + 1)));
    expect(await stage.agent.closed).toBe(CLOSE.limit);
  });

  test.each<[string, (agent: RawAgent) => void]>([
    ['instances in hello', (agent) => agent.hello({ instances: Array.from({ length: LIMITS.instances + 1 }, (_, i) => anInstance(i)) })],
    ['streams in hello', (agent) => agent.hello({ streams: Array.from({ length: LIMITS.streams + 1 }, (_, i) => held(i)) })],
  ])('%s', async (_, act) => {
    const agent = await RawAgent.login(edge.api);
    act(agent);
    expect(await agent.closed).toBe(CLOSE.limit);
  });

  test('reports of instances that nobody granted do not pile up', async () => {
    const agent = await RawAgent.greeted(edge.api);
    for (let i = 0; i < 1_500; i++) agent.say({ type: 'report', report: anInstance(i) });
    // Whatever comes first: each is answered with a stop, or there were too many of them.
    const end = await Promise.race([agent.closed, agent.told('stop', (m) => m.instance === 'ins_1499')]);
    if (typeof end === 'number') expect(end).toBe(CLOSE.limit);
    agent.close();
  });
});

describe('only the stream is lost', () => {
  test.each<[string, (it: Opened) => ReturnType<typeof frame>[]]>([
    ['headers', (it) => [head(it.stream, many(LIMITS.headers + 1))]],
    ['a header value', (it) => [head(it.stream, [['content-type', 'x'.repeat(8193)]])]],
    ['more DATA than granted', (it) => [json(it.stream), ...blocks(it.stream, 4), data(it.stream, 'x')]],
    ['an event that never ends', (it) => [events(it.stream), ...blocks(it.stream, 4), data(it.stream, 'x')]],
  ])('%s', async (_, act) => {
    const stage = await open();
    const waiting = stage.chat();
    const it = await stage.agent.opened();
    stage.agent.frames(...act(it));
    expect(await stage.agent.reset(it.stream)).toBe('protocol');
    const reply = await waiting;
    expect([reply.status, await openAiCode(reply)]).toEqual([502, 'engine_error']);
    await honest(stage);
  });

  test('an event larger than any may be, though it is granted', async () => {
    const stage = await open({ template: 'http' });
    const waiting = stage.call('/stream');
    const it = await stage.agent.opened();
    // The first event is handed on, so that the window moves with what the client reads.
    const first = `data: ${'a'.repeat(1000)}\n\n`;
    stage.agent.frames(events(it.stream), data(it.stream, first));
    const reply = await waiting;
    for (let at = 0; at < LIMITS.windowBytes - first.length; at += LIMITS.dataBytes)
      stage.agent.frames(data(it.stream, zeros(Math.min(LIMITS.dataBytes, LIMITS.windowBytes - first.length - at)).fill(120)));
    await stage.agent.settled();
    stage.agent.frames(data(it.stream, zeros(2_000).fill(120)));
    expect(await stage.agent.reset(it.stream)).toBe('protocol');
    const text = await reply.text();
    expect(text.startsWith(first)).toBe(true);
    expect(text.slice(first.length)).toMatch(/^data: \{"error":\{.*"code":"engine_error".*\}\}\n\n$/);
  });
});

test('another agent is not troubled by any of it', async () => {
  const [bad, good] = [await open(), await open()];
  const waiting = good.chat();
  const it = await good.agent.opened();
  bad.agent.raw(zeros(LIMITS.messageBytes + 1));
  expect(await bad.agent.closed).toBe(CLOSE.limit);
  good.agent.frames(json(it.stream), data(it.stream, '{}'), end(it.stream, it.open.attempt, 2));
  expect(await (await waiting).text()).toBe('{}');
});

test('an agent that was closed for a limit comes back with its instance', async () => {
  const it = await deploy();
  const { agent, instance } = await granted(it);
  agent.raw(zeros(LIMITS.messageBytes + 1));
  expect(await agent.closed).toBe(CLOSE.limit);
  expect(instance).toMatch(/^ins_/);
  await client.deleteChute(it.chute);
});

/** The same agent serves the next call. */
async function honest(stage: Stage): Promise<void> {
  const waiting = stage.chat();
  const it = await stage.agent.opened();
  stage.agent.frames(json(it.stream), data(it.stream, '{}'), end(it.stream, it.open.attempt, 2));
  expect(await (await waiting).text()).toBe('{}');
}

function tooManyFrames(): Uint8Array {
  return encodeFrames(Array.from({ length: LIMITS.messageFrames + 1 }, () => frame(FRAME.END, 2)));
}

function blocks(stream: number, count: number) {
  return Array.from({ length: count }, () => data(stream, zeros(LIMITS.dataBytes).fill(120)));
}

function anInstance(n: number) {
  return { instance: `ins_${n}`, chute: 'cht_none', version: '00'.repeat(32), state: 'live' as const, detail: '' };
}

async function aBlob(): Promise<string> {
  const bytes = utf8('code');
  const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes))).toString('hex');
  await client.putBlob(sha256, new Uint8Array(bytes));
  return sha256;
}
