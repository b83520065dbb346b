/** The echo chute in a test's network: deployed as `ripcord deploy` does it, and asked past the network what it saw. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '../../cli/client.ts';
import { deployFolder } from '../../cli/deploy.ts';
import { ROOT } from '../../dev/network.ts';
import type { TestNetwork } from './network.ts';
import { until } from './until.ts';

export const ECHO = join(ROOT, 'test/network/chutes/echo');

export interface EchoWish {
  /** Fields of chute.toml that differ from the file. */
  name?: string;
  word?: string;
  concurrency?: number;
  timeout?: number;
  min?: number;
  max?: number;
  idle_after?: number;
  /** Milliseconds until it listens. */
  startMs?: number;
  public?: boolean;
  /** The routes it declares; none: any. */
  cords?: { method: string; path: string; retry?: 'safe' }[];
}

/** What one running copy of the program says of itself. */
export interface EngineState {
  pid: number;
  port: number;
  word: string;
  active: number;
  served: number;
  cancelled: number;
  /** Calls at once, at most. */
  most: number;
  /** `?tag=` of every call, in the order they came. */
  order: string[];
}

export interface Echo {
  id: string;
  name: string;
  slug: string;
  version: string;
  /** The path of one of its routes. */
  at(path: string): string;
  /** Of the copies that run now. */
  engines(): Promise<EngineState[]>;
  /** Resolves when the program has the call with this tag. */
  has(tag: string): Promise<unknown>;
  /** Ends a call of `/hold`. */
  release(tag: string): Promise<void>;
  /** Resolves when so many calls wait in its queue. */
  waiting(calls: number): Promise<unknown>;
}

/** A folder with the chute in it, ready to be deployed. */
export function writeEcho(folder: string, wish: EchoWish = {}): void {
  cpSync(ECHO, folder, { recursive: true });
  const { word, startMs, cords = [], ...fields } = { ...wish };
  let toml = readFileSync(join(folder, 'chute.toml'), 'utf8');
  const set = (field: string, value: unknown) => {
    const line = new RegExp(`^${field} = .*$`, 'm');
    if (!line.test(toml)) throw new Error(`chute.toml has no ${field}`);
    toml = toml.replace(line, `${field} = ${JSON.stringify(value)}`);
  };
  for (const [field, value] of Object.entries(fields)) set(field, value);
  if (word !== undefined) set('WORD', word);
  if (startMs !== undefined) set('START_MS', String(startMs));
  for (const cord of cords)
    toml += `\n[[cords]]\n${Object.entries(cord)
      .map(([field, value]) => `${field} = "${value}"\n`)
      .join('')}`;
  writeFileSync(join(folder, 'chute.toml'), toml);
}

/** Deploys it for the demo account and waits until it answers a call. */
export async function deployEcho(network: TestNetwork, wish: EchoWish = {}): Promise<Echo> {
  const folder = network.folder.folder('echo', wish.name ?? 'echo');
  writeEcho(folder, wish);
  const { chute_id: id, name, slug, version } = await deployFolder(new Client(network), folder);
  const at = (path: string) => `/call/${name}${path}`;
  await until(`${name} answers`, async () => (await network.request(at('/health'))).ok, { deadlineMs: 60_000 });
  const engines = () => enginesOf(network, name);
  await until(`${name} has said where it listens`, engines);
  return {
    id,
    name,
    slug,
    version,
    at,
    engines,
    has: (tag) => until(`the program has ${tag}`, async () => (await engines()).some(({ order }) => order.includes(tag))),
    async release(tag) {
      for (const { port } of await engines()) await fetch(`http://127.0.0.1:${port}/release?tag=${tag}`);
    },
    waiting: (calls) => untilWaiting(network, name, calls),
  };
}

export function untilWaiting(network: TestNetwork, name: string, calls: number): Promise<unknown> {
  return until(`${calls} calls of ${name} wait`, async () => {
    const { waiting_calls: waiting } = (await (await network.request(`/chutes/${name}`)).json()) as { waiting_calls: number };
    if (waiting !== calls) throw new Error(`${waiting} do`);
    return true;
  });
}

/** The programs say in their log where they listen; one that has ended does not answer. */
async function enginesOf(network: TestNetwork, name: string): Promise<EngineState[]> {
  const log = await (await network.request(`/chutes/${name}/logs`)).text();
  const origins = new Set(log.match(/http:\/\/127\.0\.0\.1:\d+/g));
  if (origins.size === 0) throw new Error('no program has said where it listens');
  const asked = [...origins].map(async (origin) => (await (await fetch(`${origin}/state`)).json()) as EngineState);
  return (await Promise.allSettled(asked)).flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
}
