/** One network for all files of this folder: an edge, its database, an account; no honest miner. */
import { readFileSync } from 'node:fs';
import type { TestProject } from 'vitest/node';
import { chuteConfigSchema } from '#protocol';
import { Client } from '../../cli/client.ts';
import { startNetwork } from '../harness/network.ts';
import { RawAgent } from './raw-agent.ts';

export interface Hostile {
  api: string;
  /** Of the account `demo`; may do everything. */
  key: string;
  account: string;
  edgeSecret: string;
  internalToken: string;
  databaseUrl: string;
  edgeLog: string;
  /** A live instance whose agent says nothing more since then (unix ms), not even a ping. */
  silent: { chute: string; instance: string; since: number };
}

declare module 'vitest' {
  interface ProvidedContext {
    hostile: Hostile;
  }
}

async function silentAgent(api: string, key: string): Promise<{ facts: Hostile['silent']; agent: RawAgent }> {
  const config = chuteConfigSchema.parse({ name: 'silent', template: 'http', command: ['true'], min: 1 });
  const { chute_id: chute, version } = await new Client({ api, key }).deploy(config, null);
  const agent = await RawAgent.greeted(api);
  agent.say({ type: 'claim', ref: 'r', chute, version });
  const { instance } = await agent.told('grant');
  agent.say({ type: 'report', report: { instance, chute, version, state: 'live', detail: '' } });
  return { facts: { chute, instance, since: Date.now() }, agent };
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const network = await startNetwork({ agents: 0, chutes: [], faults: true });
  const { api, key, account, internalToken, databaseUrl, folder } = network;
  const edgeLog = folder.file('log', 'edge.log');
  const silent = await silentAgent(api, key);
  project.provide('hostile', {
    silent: silent.facts,
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
    silent.agent.close();
    await network.close();
    const secrets = { edgeSecret: folder.state.edgeSecret, internalToken, key: key.slice(-50), password: new URL(databaseUrl).password };
    for (const [name, secret] of Object.entries(secrets)) if (log.includes(secret)) throw new Error(`the edge's log holds ${name}`);
  };
}
