/** Why: what a call waits for, what a chute is doing on its way from nothing, and why a machine has no work, each told by its own route. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chuteConfigSchema, type ChuteConfig } from '#protocol';
import { ripcord } from '../unit/cli/stand-in.ts';
import { Client } from '../../cli/client.ts';
import { deployFolder } from '../../cli/deploy.ts';
import { hotkeyOf } from '../../dev/hotkeys.ts';
import { writeEcho, type EchoWish } from '../harness/echo.ts';
import { login } from '../../miner-agent/identity/login.ts';
import { makeSessionKeys } from '../../miner-agent/identity/session.ts';
import { RawAgent, newHotkey } from '../hostile/raw-agent.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { until } from '../harness/until.ts';

interface Why {
  state: string;
  position: number | null;
  eta_ms: number | null;
  reasons: { code: string; count: number; text: string; chutes?: string[] }[];
  next: { code: string; text: string } | null;
}
interface AgentWhy extends Why {
  agent: string;
  connected: boolean;
}

let network: TestNetwork;
/** Of an account without credit. */
let poor: string;

beforeAll(async () => {
  network = await startNetwork({ chutes: [] });
  const other = new Client({ api: network.api, hotkey: hotkeyOf('52'.repeat(32)) });
  await other.signUp('poor');
  poor = (await other.createKey({ name: 'all', scopes: ['invoke', 'read'] })).secret_key;
});
afterAll(() => network?.close());

const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
const json = async <T>(path: string, init?: Parameters<TestNetwork['request']>[1]) =>
  (await (await network.request(path, init)).json()) as T;

async function deploy(config: Partial<ChuteConfig> & { name: string }): Promise<string> {
  return (await new Client(network).deploy(chuteConfigSchema.parse({ health: '/health', ...config }), null)).name;
}

async function deployEcho(wish: EchoWish & { name: string }): Promise<string> {
  const folder = network.folder.folder('why', wish.name);
  writeEcho(folder, { min: 0, ...wish });
  return (await deployFolder(new Client(network), folder)).name;
}

async function miner(): Promise<AgentWhy> {
  const { hotkey, agent } = network.agent(0);
  const { agents } = await json<{ agents: AgentWhy[] }>(`/miners/${hotkey}/why`);
  const [only] = agents;
  if (only === undefined || agents.length !== 1 || only.agent !== agent) throw new Error(JSON.stringify(agents));
  return only;
}

/** The call of a chute that runs now. */
function running(chute: string): Promise<string> {
  return until(`a call of ${chute} is under way`, async () => {
    const [{ chute_id: id }, { items }] = await Promise.all([
      json<{ chute_id: string }>(`/chutes/${chute}`),
      json<{ items: { call_id: string; chute_id: string; state: string }[] }>('/calls'),
    ]);
    return items.find((it) => it.chute_id === id && it.state === 'running')?.call_id;
  });
}

const codes = (why: Why) => why.reasons.map((it) => it.code);

describe('a machine', () => {
  test('that nobody asks for anything: no_demand', async () => {
    const why = await until('it is connected', async () => {
      const now = await miner();
      return now.connected ? now : null;
    });
    expect(why).toMatchObject({ state: 'idle', reasons: [{ code: 'no_demand', count: 1 }], next: { code: 'no_demand' } });
  });

  test('without a GPU that is asked for one: no_gpu, and a private chute is not named', async () => {
    const gpu = { count: 1, min_vram_gb: 16, include: [], exclude: [] };
    await deploy({ name: 'hidden', command: ['node'], gpu, min: 1 });
    const open = await deploy({ name: 'large', command: ['node'], gpu, min: 1, public: true });
    const why = await until('it is told of both', async () => {
      const now = await miner();
      return now.reasons.some((it) => it.code === 'no_gpu' && it.count === 2) ? now : null;
    });
    expect(why).toMatchObject({ state: 'idle', next: { code: 'no_gpu' } });
    expect(why.reasons.find((it) => it.code === 'no_gpu')?.chutes).toEqual([open]);
    for (const name of [open, 'demo/hidden']) await new Client(network).deleteChute(name);
  });

  test('whose clock is an hour behind, whose socket is cut, which breaks the protocol: each is told', async () => {
    const hotkey = newHotkey();
    const reasons = async () => {
      const { agents } = await json<{ agents: AgentWhy[] }>(`/miners/${hotkey.ss58}/why`);
      return agents[0] === undefined ? [] : codes(agents[0]);
    };
    const dial = async (now: number) => {
      const agent = await RawAgent.dial(network.api, await login(network.api, hotkey, 'raw', makeSessionKeys(), now));
      agent.hello();
      await agent.told('welcome');
      return agent;
    };
    const late = await dial(Date.now() - 3_600_000);
    await until('its clock is told', async () => (await reasons()).includes('wrong_clock'));
    late.close();
    for (let cut = 0; cut < 2; cut++) (await dial(Date.now())).close();
    await until('the cuts are told', async () => (await reasons()).includes('socket_cut'));
    const rude = await dial(Date.now());
    rude.raw('this is no message');
    await rude.closed;
    await until('that it was sent away is told', async () => (await reasons()).join() === 'refused');
  });

  test('that never was: 404, with what to do', async () => {
    const reply = await network.request(`/miners/${hotkeyOf('53'.repeat(32)).ss58}/why`);
    expect([reply.status, await reply.json()]).toEqual([
      404,
      expect.objectContaining({ code: 'not_found', hint: expect.stringContaining('doctor') as string }),
    ]);
  });
});

describe('a chute', () => {
  let broken: { name: string; reply: Promise<Response> };
  /** Its starts fail while the other tests run. */
  beforeAll(async () => {
    const name = await deploy({ name: 'broken', command: ['node', '-e', 'process.exit(7)'], public: true, timeout: 120 });
    broken = { name, reply: network.request(`/call/${name}/x`) };
  });

  test('warm-up: from nothing to ready, as JSON and as events', async () => {
    const name = await deployEcho({ name: 'warm', startMs: 1_000, public: true });
    expect(await json(`/chutes/${name}/warmup`)).toMatchObject({ status: 'cold', phase: 'cold', progress: null, instances: [] });

    const refused = await network.request(`/chutes/${name}/warmup`, { method: 'POST', ...as(poor) });
    expect([refused.status, await refused.json()]).toEqual([402, expect.objectContaining({ code: 'insufficient_credit' })]);
    const long = await network.request(`/chutes/${name}/warmup`, { body: { seconds: 3_601 } });
    expect([long.status, await long.json()]).toEqual([400, expect.objectContaining({ code: 'invalid_request', param: 'seconds' })]);

    expect(await json(`/chutes/${name}/warmup`, { body: { seconds: 60 } })).toMatchObject({ name, status: 'cold' });
    const events = await network.request(`/chutes/${name}/warmup`, { headers: { accept: 'text/event-stream' } });
    expect(events.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const told = [...(await events.text()).matchAll(/^data: (.*)$/gm)].map(([, text = '']) => JSON.parse(text) as { phase: string });
    expect(told.map((it) => it.phase).filter((phase) => !['waiting', 'granted', 'pulling', 'loading', 'ready'].includes(phase))).toEqual(
      [],
    );
    expect(told.at(-1)).toMatchObject({ phase: 'ready', status: 'hot' });
    expect(told.length).toBeGreaterThan(1);

    const ran = await ripcord(['warm', name, '--json'], {
      env: { RIPCORD_API: network.api, RIPCORD_API_KEY: network.key, XDG_CONFIG_HOME: network.folder.folder('warm') },
    });
    expect([ran.code, JSON.parse(ran.out)]).toEqual([0, expect.objectContaining({ phase: 'ready', name })]);
    // One account cannot keep the object busy.
    const many = await Promise.all(
      Array.from({ length: 12 }, () => network.request(`/chutes/${name}/warmup`, { method: 'POST', ...as(poor) })),
    );
    const late = many.find((reply) => reply.status === 429);
    expect(await late?.json()).toMatchObject({ code: 'rate_limited', detail: 'Too many warm-ups of this account.' });
    // Another's eyes see that it serves.
    expect(await json(`/chutes/${name}/warmup`, as(poor))).toMatchObject({ status: 'hot' });
    await new Client(network).deleteChute(name);
  });

  test('a call: why it waits while its instance starts, and what became of it; another account learns nothing', async () => {
    const name = await deployEcho({ name: 'slow', startMs: 2_000 });
    const reply = network.request(`/call/${name}/health`);
    const call = await running(name);
    const waits = await until('it is told that an instance starts', async () => {
      const now = await json<Why>(`/calls/${call}/why`);
      return codes(now).includes('starting') ? now : null;
    });
    expect(waits).toMatchObject({ state: 'waiting', position: 1, next: { code: 'starting' } });
    expect(codes(waits)).toEqual(expect.arrayContaining(['no_instance', 'queue_position']));
    expect((await network.request(`/calls/${call}/why`, as(poor))).status).toBe(404);
    expect((await reply).status).toBe(200);
    const done = await until('it is over', async () => {
      const now = await json<Why>(`/calls/${call}/why`);
      return now.state === 'done' ? now : null;
    });
    expect(codes(done)).toEqual(['completed', 'waited', 'cold_start']);
    await new Client(network).deleteChute(name);
  });

  test('a program that does not start: calls that wait and calls that come are told so', async () => {
    const { name, reply } = broken;
    const first = await reply;
    const call = first.headers.get('x-request-id') ?? '';
    expect([first.status, await first.json()]).toEqual([
      503,
      expect.objectContaining({ code: 'start_failing', detail: expect.stringContaining('exit code 7') as string }),
    ]);
    const [next, view, warm] = await Promise.all([
      network.request(`/call/${name}/x`),
      json<{ last_error: object }>(`/chutes/${name}`),
      json(`/chutes/${name}/warmup`),
    ]);
    expect([next.status, await next.json()]).toEqual([503, expect.objectContaining({ code: 'start_failing' })]);
    expect(Number(next.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(view.last_error).toMatchObject({ crash_loop: true });
    expect(warm).toMatchObject({ status: 'cold', phase: 'failed', last_error: { crash_loop: true, failed_starts: 3 } });
    const told = await until('the call is over', async () => {
      const now = await json<Why>(`/calls/${call}/why`);
      return now.state === 'done' ? now : null;
    });
    expect(told.reasons[0]).toMatchObject({ code: 'failed', text: expect.stringContaining('start_failing') as string });
    expect(codes(await miner())).toContain('start_failed');
    await new Client(network).deleteChute(name);
  });
});

test('a machine that drained is told as that', async () => {
  await network.agent(0).stop();
  const why = await until('it is away', async () => {
    const now = await miner();
    return now.state === 'away' ? now : null;
  });
  expect(why).toMatchObject({ connected: false, reasons: [{ code: 'leaving' }], next: { code: 'leaving' } });
});
