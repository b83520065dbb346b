/** What makes a bare network worth a visit: an account with a key and credit, three chutes, and an agent that runs them on the CPU. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../cli/client.ts';
import { readChuteToml } from '../cli/chute-toml/read.ts';
import { packFolder } from '../cli/pack/pack.ts';
import type { Hotkey } from '../miner-agent/identity/hotkey.ts';
import { startAgent, type AgentPart } from './agent.ts';
import { buildImageChute } from './chutes/image/build.ts';
import { DEMO_NANOUSD, giveCredit } from './credit.ts';
import { lineOf, StartFailure } from './failure.ts';
import type { DataFolder } from './folder.ts';
import { hotkeyIn, hotkeyOf } from './hotkeys.ts';
import { judgeSeed, ROOT, type Network } from './network.ts';
import type { Say } from './supervise.ts';

/** A chute to deploy and the call that proves it works. */
export interface DemoChute {
  /** Holds chute.toml. */
  folder: string;
  /** Makes what chute.toml packs. */
  build?: () => Promise<void>;
  probe: { path: string; type: string; body: string | Uint8Array<ArrayBuffer> };
}

const HANDLE = 'demo';
/** An empty machine starts three programs and moves their code: seconds, unless it is very busy. */
const LIVE_DEADLINE_MS = 120_000;
const RETRY_MS = 100;
/** Says what it waits for after this long. */
const PATIENCE_MS = 10_000;

const jsonProbe = (path: string, body: unknown) => ({ path, type: 'application/json', body: JSON.stringify(body) });
/** One pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export const DEMO_CHUTES: DemoChute[] = [
  {
    folder: join(ROOT, 'dev/chutes/chat'),
    probe: jsonProbe('/v1/chat/completions', { model: 'demo/chat', max_tokens: 4, messages: [{ role: 'user', content: 'Hello' }] }),
  },
  { folder: join(ROOT, 'dev/chutes/embed'), probe: jsonProbe('/v1/embeddings', { model: 'demo/embed', input: 'Hello' }) },
  {
    folder: join(ROOT, 'dev/chutes/image'),
    build: buildImage,
    probe: { path: '/call/demo/image/transform?op=invert', type: 'image/png', body: new Uint8Array(Buffer.from(PNG, 'base64')) },
  },
];

export interface DemoAsk {
  network: Network;
  folder: DataFolder;
  chutes?: DemoChute[];
  agents?: number;
  /** What the i-th agent runs instead of the miner's command; for tests. */
  program?: (index: number) => readonly string[] | undefined;
  /** False leaves the judge out; for tests. */
  judge?: boolean;
  say: Say;
  signal?: AbortSignal;
}

/** What `npm start -- --json` prints. */
export interface Demo {
  api: string;
  key: string;
  account: string;
  version: string;
  chutes: { id: string; name: string; slug: string; model: string }[];
  agents: { hotkey: string; agent: string }[];
  /** Where the chain can be looked at; null: there is none. */
  chain: string | null;
}

/** Raises the demo on a network and resolves when each chute answered a call. A second start finds what the first one made. */
export async function raiseDemo(ask: DemoAsk): Promise<{ facts: Demo; agents: AgentPart[] }> {
  const { network, folder, say, signal } = ask;
  const wanted = ask.chutes ?? DEMO_CHUTES;
  const { account, key } = await demoAccount(network, folder, signal);
  if (ask.judge ?? true) await network.addJudge(await judgeKey(network, folder, signal));

  const client = clientOf(network, { key, signal });
  const chutes = [];
  for (const chute of wanted) {
    await chute.build?.();
    chutes.push(await deploy(client, chute.folder));
  }
  if (chutes.length > 0) say(`Deployed ${chutes.map(({ name }) => name).join(', ')}.`);

  const agents = [];
  for (let index = 0; index < (ask.agents ?? 1); index++) {
    const program = ask.program?.(index);
    agents.push(await startAgent({ network, folder, index, allowAccount: account, ...(program === undefined ? {} : { program }) }));
  }
  if (wanted.length > 0) say('Waiting for an answer of each chute.');
  await Promise.all(wanted.map((chute) => untilLive(client, chute, say, signal)));
  return {
    facts: {
      api: network.api,
      key,
      account,
      version: version(),
      chutes,
      agents: agents.map(({ hotkey, agent }) => ({ hotkey, agent })),
      chain: network.chain?.url ?? null,
    },
    agents,
  };
}

/** The demo account and its key. Only we keep the key's secret: the edge knows no more than a MAC of it. */
async function demoAccount(network: Network, folder: DataFolder, signal?: AbortSignal): Promise<{ account: string; key: string }> {
  const client = clientOf(network, { hotkey: hotkeyIn(folder.file('demo-hotkey')), signal });
  const { account_id: account } = await client.signUp(HANDLE);
  await giveCredit(network.databaseUrl, account, DEMO_NANOUSD, `start/${account}`);
  const known = folder.state.demoKey;
  if (known !== undefined) return { account, key: known };
  const { secret_key: key } = await client.createKey({ name: 'demo', scopes: ['invoke', 'read', 'write', 'keys'] });
  folder.remember({ demoKey: key });
  return { account, key };
}

/** The judge pays its canary calls like anyone: an account of its hotkey, a key that may call. */
async function judgeKey(network: Network, folder: DataFolder, signal?: AbortSignal): Promise<string> {
  const client = clientOf(network, { hotkey: hotkeyOf(judgeSeed(folder.state.edgeSecret)), signal });
  const { account_id: account } = await client.signUp('judge');
  await giveCredit(network.databaseUrl, account, DEMO_NANOUSD, `start/${account}`);
  const known = folder.state.judgeKey;
  if (known !== undefined) return known;
  const { secret_key: key } = await client.createKey({ name: 'canaries', scopes: ['invoke'] });
  folder.remember({ judgeKey: key });
  return key;
}

function clientOf(
  network: Network,
  who: { key: string; signal: AbortSignal | undefined } | { hotkey: Hotkey; signal: AbortSignal | undefined },
): Client {
  const { signal, ...authority } = who;
  return new Client({ api: network.api, ...authority, ...(signal ? { signal } : {}) });
}

async function deploy(client: Client, folder: string): Promise<Demo['chutes'][number]> {
  const { config, code } = await readChuteToml(join(folder, 'chute.toml'));
  const packed = code === null ? null : await packFolder(code);
  if (packed && !(await client.hasBlob(packed.sha256))) await client.putBlob(packed.sha256, packed.data);
  const {
    chute_id: id,
    name,
    slug,
  } = await client.deploy(config, packed && { sha256: packed.sha256, bytes: packed.bytes, manifest: packed.manifest });
  return { id, name, slug, model: name };
}

/** Calls until it works. Throws `StartFailure` with the last answer when it never does. */
async function untilLive(client: Client, { folder, probe }: DemoChute, say: Say, signal = new AbortController().signal): Promise<void> {
  const name = `demo/${basename(folder)}`;
  const startedAt = performance.now();
  let patient = true;
  for (;;) {
    const reply = await ask(client, probe);
    if (reply === null) return;
    const waitedMs = performance.now() - startedAt;
    if (waitedMs > LIVE_DEADLINE_MS) throw new StartFailure(`${name} does not answer: ${reply}`);
    if (patient && waitedMs > PATIENCE_MS) say(`Still waiting for ${name}: ${reply}`);
    if (waitedMs > PATIENCE_MS) patient = false;
    await sleep(RETRY_MS, undefined, { signal });
  }
}

/** Null when the call was answered; otherwise what came instead. */
async function ask(client: Client, { path, type, body }: DemoChute['probe']): Promise<string | null> {
  // A call waits in the chute's queue while an instance starts, but one that got lost must not be waited for too long.
  const reply = await client.request('POST', path, { body, headers: { 'content-type': type }, timeoutMs: PATIENCE_MS }).catch(lineOf);
  if (typeof reply === 'string') return reply;
  const text = await reply.text();
  return reply.ok ? null : `HTTP ${reply.status} ${text.slice(0, 300)}`;
}

/** Builds aside and moves file by file, as another start may pack the folder at the same time. */
async function buildImage(): Promise<void> {
  const target = join(ROOT, 'dev/chutes/image/dist');
  const aside = `${target}.${process.pid}`;
  await buildImageChute(aside);
  mkdirSync(target, { recursive: true });
  for (const file of readdirSync(aside)) renameSync(join(aside, file), join(target, file));
  rmSync(aside, { recursive: true });
}

function version(): string {
  const { version: text } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return text;
}
