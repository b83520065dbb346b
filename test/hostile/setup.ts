/** One network for all files of this folder: an edge, its database, an account; no honest miner. */
import { readFileSync } from 'node:fs';
import type { TestProject } from 'vitest/node';
import { KEEPALIVE, LIMITS, chuteConfigSchema } from '#protocol';
import { Client } from '../../cli/client.ts';
import { startNetwork } from '../harness/network.ts';
import { RawAgent, end, json } from './raw-agent.ts';

export interface Instance {
  chute: string;
  instance: string;
}

export interface Hostile {
  api: string;
  /** Of the account `demo`; may do everything. */
  key: string;
  account: string;
  edgeSecret: string;
  internalToken: string;
  databaseUrl: string;
  edgeLog: string;
  /** Live instances, quiet since then (unix ms): the agent of one says nothing at all, that of the other only pings. */
  quiet: { since: number; silent: Instance; pinging: Instance };
}

declare module 'vitest' {
  interface ProvidedContext {
    hostile: Hostile;
  }
}

async function quietAgent(api: string, key: string, name: string): Promise<{ is: Instance; agent: RawAgent }> {
  const config = chuteConfigSchema.parse({ name, template: 'http', command: ['true'], min: 1 });
  const { chute_id: chute, version } = await new Client({ api, key }).deploy(config, null);
  const agent = await RawAgent.greeted(api);
  agent.say({ type: 'claim', ref: 'r', chute, version });
  const { instance } = await agent.told('grant');
  agent.say({ type: 'report', report: { instance, chute, version, state: 'live', detail: '' } });
  return { is: { chute, instance }, agent };
}

/** Pings as an agent does; then answers one call. */
function pinging(agent: RawAgent): () => void {
  const timer = setInterval(() => agent.raw(KEEPALIVE.ping), LIMITS.pingMs);
  const answered = agent.opened(10 * 60_000).then(({ stream, open }) => agent.frames(json(stream), end(stream, open.attempt, 0)));
  answered.catch(() => {});
  return () => clearInterval(timer);
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const network = await startNetwork({ agents: 0, chutes: [], faults: true });
  const { api, key, account, internalToken, databaseUrl, folder } = network;
  const edgeLog = folder.file('log', 'edge.log');
  const [silent, other] = await Promise.all([quietAgent(api, key, 'silent'), quietAgent(api, key, 'pinging')]);
  const stopPinging = pinging(other.agent);
  const quiet = { since: Date.now(), silent: silent.is, pinging: other.is };
  project.provide('hostile', {
    quiet,
    api,
    key,
    account,
    internalToken,
    databaseUrl,
    edgeSecret: folder.state.edgeSecret,
    edgeLog,
  });
  return async () => {
    const log = readFileSync(edgeLog, 'utf8');
    stopPinging();
    silent.agent.close();
    other.agent.close();
    await network.close();
    const secrets = { edgeSecret: folder.state.edgeSecret, internalToken, key: key.slice(-50), password: new URL(databaseUrl).password };
    for (const [name, secret] of Object.entries(secrets)) if (log.includes(secret)) throw new Error(`the edge's log holds ${name}`);
  };
}
