/** One network for all files of this folder: an edge, its database, an account; no honest miner. */
import type { TestProject } from 'vitest/node';
import { startNetwork } from '../harness/network.ts';

export interface Hostile {
  api: string;
  /** Of the account `demo`; may do everything. */
  key: string;
  account: string;
  edgeSecret: string;
  internalToken: string;
  databaseUrl: string;
  edgeLog: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    hostile: Hostile;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const network = await startNetwork({ agents: 0, chutes: [], faults: true });
  const { api, key, account, internalToken, databaseUrl, folder } = network;
  const edgeLog = folder.file('log', 'edge.log');
  project.provide('hostile', { api, key, account, internalToken, databaseUrl, edgeSecret: folder.state.edgeSecret, edgeLog });
  return () => network.close();
}
