/** A chute with one raw agent behind it, and clients in front. */
import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { chuteConfigSchema, type CodeRef, type InstanceReport, type VersionSpec } from '#protocol';
import { Client } from '../../cli/client.ts';
import type { Hotkey } from '../../miner-agent/identity/hotkey.ts';
import { until } from '../harness/until.ts';
import { RawAgent, newHotkey } from './raw-agent.ts';

export const edge = inject('hostile');

/** Everything with the key of the account `demo`. */
export const client = new Client({ api: edge.api, key: edge.key });

export interface Deployed {
  chute: string;
  name: string;
  version: string;
}

/** A chute of its own, wanting one instance. */
export async function deploy(
  fields: Record<string, unknown> = {},
  { as = client, code = null }: { as?: Client; code?: CodeRef | null } = {},
): Promise<Deployed> {
  const config = { name: `h${randomBytes(6).toString('hex')}`, template: 'openai', command: ['true'], concurrency: 8, min: 1, ...fields };
  const { chute_id: chute, name, version } = await as.deploy(chuteConfigSchema.parse(config), code);
  return { chute, name, version };
}

/** An agent that was granted an instance; it has reported nothing yet. */
export async function granted(
  it: Deployed,
  hotkey: Hotkey = newHotkey(),
): Promise<{ agent: RawAgent; instance: string; spec: VersionSpec }> {
  const agent = await RawAgent.greeted(edge.api, hotkey);
  const ref = randomBytes(8).toString('hex');
  agent.say({ type: 'claim', ref, chute: it.chute, version: it.version });
  const { instance, spec } = await agent.told('grant', (m) => m.ref === ref);
  return { agent, instance, spec };
}

export class Stage {
  readonly it: Deployed;
  readonly agent: RawAgent;
  readonly instance: string;
  readonly hotkey: Hotkey;

  private constructor(it: Deployed, agent: RawAgent, instance: string, hotkey: Hotkey) {
    this.it = it;
    this.agent = agent;
    this.instance = instance;
    this.hotkey = hotkey;
  }

  /** Its instance is live and the edge knows it. */
  static async open(fields: Record<string, unknown> = {}, more: { code?: CodeRef | null } = {}): Promise<Stage> {
    const it = await deploy(fields, more);
    const hotkey = newHotkey();
    const { agent, instance } = await granted(it, hotkey);
    const stage = new Stage(it, agent, instance, hotkey);
    agent.say({ type: 'report', report: stage.report('live') });
    await until('the instance is live', async () => (await stage.state()) === 'live');
    return stage;
  }

  report(state: InstanceReport['state']): InstanceReport {
    return { instance: this.instance, chute: this.it.chute, version: this.it.version, state, detail: '' };
  }

  /** Of the instance, as its owner sees it. */
  async state(): Promise<string | undefined> {
    const { instances } = await client.chute(this.it.chute);
    return instances?.find((i) => i.instance_id === this.instance)?.state;
  }

  /** A chat completion; on this very instance, unless it is not pinned. */
  chat(fields: Record<string, unknown> = {}, { pinned = true, ...init }: RequestInit & { pinned?: boolean } = {}): Promise<Response> {
    const body = JSON.stringify({ model: this.it.name, messages: [{ role: 'user', content: 'Hi' }], ...fields });
    return this.request('/v1/chat/completions', { method: 'POST', body, ...init }, pinned);
  }

  /** Any request of an honest client, which waits for a while and no longer. */
  request(path: string, init: RequestInit = {}, pinned = true): Promise<Response> {
    const headers = {
      authorization: `Bearer ${edge.key}`,
      'content-type': 'application/json',
      ...(pinned ? { 'x-ripcord-instance': this.instance } : {}),
      ...(init.headers as Record<string, string> | undefined),
    };
    return fetch(`${edge.api}${path}`, { signal: AbortSignal.timeout(30_000), ...init, headers });
  }

  /** A call to the chute's own route. */
  call(path: string, init: RequestInit = {}): Promise<Response> {
    return this.request(`/call/${this.it.chute}${path}`, init);
  }

  async close(): Promise<void> {
    this.agent.close();
    await client.deleteChute(this.it.chute);
  }
}

/** What an OpenAI-shaped refusal says, checked to be one. */
export async function openAiCode(reply: Response): Promise<string> {
  const text = await reply.text();
  const { error } = JSON.parse(text) as { error: { code: string; message: string; type: string; request_id: string } };
  if (typeof error.message !== 'string' || typeof error.type !== 'string') throw new Error(`not OpenAI's shape: ${text}`);
  if (error.request_id !== reply.headers.get('x-request-id')) throw new Error(`two request ids: ${text}`);
  return error.code;
}

/** What a problem document says, checked to be one. */
export async function problemCode(reply: Response): Promise<string> {
  const text = await reply.text();
  const problem = JSON.parse(text) as { type: string; title: string; status: number; code: string; request_id: string };
  if (!reply.headers.get('content-type')?.startsWith('application/problem+json')) throw new Error(`no problem document: ${text}`);
  if (problem.type !== `urn:ripcord:error:${problem.code}` || problem.status !== reply.status) throw new Error(`inconsistent: ${text}`);
  if (problem.request_id !== reply.headers.get('x-request-id')) throw new Error(`two request ids: ${text}`);
  return problem.code;
}
