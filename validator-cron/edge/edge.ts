/**
 * The edge as a judge sees it: its public API and nothing else. Signed routes prove the judge's hotkey; canaries go as
 * any paying client. Every reply is bounded and parsed here.
 */
import * as z from 'zod/mini';
import {
  agentsReplySchema,
  AUDIT_LIMITS,
  challengeResultSchema,
  observationsReplySchema,
  type AuditAgent,
  type Observation,
  type Score,
  type StoredObservation,
} from '#protocol/audit.ts';
import type { JudgeConfig } from '../config.ts';
import { allPages, parts } from './pages.ts';
import type { Requests } from './request.ts';

/** Pages of one list that are read in a tick. */
const PAGES = 40;

export interface Edge {
  /** Everyone who may be called, at most `PAGES` pages. Throws `EdgeError`. */
  agents(): Promise<AuditAgent[]>;
  /** Has the edge ping an agent; null: no answer. Throws `EdgeError`. */
  ping(agent: string, id: string): Promise<number | null>;
  /** One call as a paying client. Throws whatever `fetch` throws. */
  call(
    path: string,
    init: { method: string; headers: Record<string, string>; body: string | null; signal: AbortSignal },
  ): Promise<Response>;
  postObservations(items: Observation[]): Promise<void>;
  /** This judge's observations of an epoch, as the edge has published them; of these types, or all. */
  observations(epoch: number, types?: readonly Observation['type'][]): Promise<StoredObservation[]>;
  postScores(items: Score[]): Promise<void>;
}

/** `signal` ends everything this tick still has under way. */
export function makeEdge(config: JudgeConfig, { read, write }: Requests, signal: AbortSignal): Edge {
  const taken = z.object({});
  const from = (after: string | null, mark: string) => (after === null ? '' : `${mark}after=${encodeURIComponent(after)}`);
  return {
    agents: () => allPages<AuditAgent, string>(PAGES, (after) => read(`/audit/agents${from(after, '?')}`, agentsReplySchema)),
    ping: async (agent, id) => {
      const result = await write('POST', '/audit/challenges', challengeResultSchema, { type: 'rtt', agent, id });
      return result.id === id ? result.rtt_ms : null;
    },
    call: (path, init) =>
      fetch(config.origin + path, {
        ...init,
        headers: { ...init.headers, authorization: `Bearer ${config.apiKey}` },
        redirect: 'manual',
        signal: AbortSignal.any([signal, init.signal]),
      }),
    postObservations: async (items) => {
      for (const part of parts(items, AUDIT_LIMITS.observations)) await write('POST', '/audit/observations', taken, { items: part });
    },
    observations: (epoch, types) => {
      const only = types === undefined ? '' : `&types=${types.join(',')}`;
      return allPages<StoredObservation, string>(PAGES, (after) =>
        read(`/audit/observations?epoch=${epoch}&judge=${config.hotkey.ss58}${only}${from(after, '&')}`, observationsReplySchema),
      );
    },
    postScores: async (items) => {
      for (const part of parts(items, AUDIT_LIMITS.scores)) await write('POST', '/audit/scores', taken, { items: part });
    },
  };
}
