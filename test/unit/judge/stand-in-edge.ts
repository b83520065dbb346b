/**
 * A small edge over real HTTP: it checks signatures and nonces as the real one does, keeps what it is told, and answers
 * canaries as the test says.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { observationsPostSchema, scoresPostSchema, type AuditAgent, type Score, type StoredObservation } from '#protocol/audit.ts';
import type { Transcript, Verdict } from '#protocol/challenge/index.ts';
import { challengesPostSchema, verdictsPostSchema, type ChallengesPost, type TargetItem } from '#protocol/judging.ts';
import { checkSigned } from '../../../functions/gate/hotkey.ts';

export type Answer = (reply: ServerResponse, request: IncomingMessage, body: string) => void;

export class StandInEdge implements AsyncDisposable {
  agents: AuditAgent[] = [];
  /** Milliseconds an agent answers a ping with; absent: silent. */
  rtt = new Map<string, number>();
  /** By instance. */
  answers = new Map<string, Answer>();
  /** By path; wins over everything. */
  broken = new Map<string, Answer>();
  targets: TargetItem[] = [];
  /** That have ended. */
  transcripts: Transcript[] = [];
  /** By id. */
  openings = new Map<string, Uint8Array>();
  readonly asked: ChallengesPost[] = [];
  readonly verdicts = new Map<string, Verdict & { judge: string; slot: number; at: number }>();
  readonly observations = new Map<string, StoredObservation>();
  readonly scores = new Map<string, Score>();
  readonly calls: { path: string; instance: string; key: string }[] = [];
  readonly #nonces = new Set<string>();
  readonly #server = createServer((request, reply) => void this.#serve(request, reply));
  origin = '';

  static async start(): Promise<StandInEdge> {
    const edge = new StandInEdge();
    edge.#server.listen(0, '127.0.0.1');
    await once(edge.#server, 'listening');
    edge.origin = `http://127.0.0.1:${(edge.#server.address() as AddressInfo).port}`;
    return edge;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(request.url ?? '/', this.origin);
    const broken = this.broken.get(url.pathname);
    if (broken !== undefined) return broken(reply, request, body.toString());
    if (url.pathname === '/epochs') return json(reply, 200, { items: [] });
    if (url.pathname.endsWith('/opening')) return void reply.end(this.openings.get(url.pathname.split('/')[3] ?? ''));
    if (!url.pathname.startsWith('/audit/')) return this.#call(request, reply, url.pathname, body.toString());
    if (request.method === 'GET') return json(reply, 200, this.#read(url));
    const judge = await this.#signer(request, url, body);
    if (judge === null) return json(reply, 401, {});
    json(reply, 200, this.#take(url.pathname, judge, JSON.parse(body.toString())));
  }

  #read(url: URL): unknown {
    if (url.pathname === '/audit/agents') return { items: this.agents, next: null };
    if (url.pathname === '/audit/targets') return { items: this.targets, next: null };
    const [slotFrom, slotTo] = [Number(url.searchParams.get('slot_from')), Number(url.searchParams.get('slot_to'))];
    const inSlots = ({ slot }: { slot: number }) => slot >= slotFrom && slot < slotTo;
    if (url.pathname === '/audit/transcripts') {
      const items = this.transcripts.filter(inSlots).map((transcript, seq) => ({ ...transcript, seq, transcript }));
      return { items, next: null };
    }
    if (url.pathname === '/audit/verdicts') return { items: [...this.verdicts.values()].filter(inSlots), next: null };
    if (url.pathname.startsWith('/audit/transcripts/')) return this.transcripts.find(({ id }) => url.pathname.endsWith(id));
    const epoch = Number(url.searchParams.get('epoch'));
    return {
      items: [...this.observations.values()].filter((o) => o.epoch === epoch && o.judge === url.searchParams.get('judge')),
      next: null,
    };
  }

  #take(path: string, judge: string, ask: unknown): unknown {
    const challenges = challengesPostSchema.safeParse(ask);
    if (path === '/audit/challenges' && challenges.success) {
      this.asked.push(challenges.data);
      return { items: challenges.data.asks.map(({ target }) => ({ id: target.slice(0, 64), state: 'started', why: '' })) };
    }
    if (path === '/audit/verdicts') {
      for (const verdict of verdictsPostSchema.parse(ask).items) {
        const slot = this.transcripts.find(({ id }) => id === verdict.id)?.slot ?? 0;
        this.verdicts.set(verdict.id, { ...verdict, judge, slot, at: Date.now() });
      }
    }
    if (path === '/audit/challenges') {
      const { agent, id } = ask as { agent: string; id: string };
      return { id, rtt_ms: this.rtt.get(agent) ?? null };
    }
    if (path === '/audit/observations')
      for (const o of observationsPostSchema.parse(ask).items) this.observations.set(o.id, { ...o, judge });
    if (path === '/audit/scores') for (const s of scoresPostSchema.parse(ask).items) this.scores.set(`${s.epoch} ${s.hotkey}`, s);
    return {};
  }

  async #signer(request: IncomingMessage, url: URL, body: Buffer): Promise<string | null> {
    const header = (name: string) => request.headers[name] as string | undefined;
    const target = url.pathname + url.search;
    const signed = await checkSigned({ origin: this.origin, method: request.method ?? '', target, body, header }, Date.now()).catch(
      () => null,
    );
    if (signed === null || this.#nonces.has(signed.nonce)) return null;
    this.#nonces.add(signed.nonce);
    return signed.hotkey;
  }

  #call(request: IncomingMessage, reply: ServerResponse, path: string, body: string): void {
    const instance = String(request.headers['x-ripcord-instance']);
    this.calls.push({ path, instance, key: String(request.headers['authorization']) });
    const answer = this.answers.get(instance);
    if (answer === undefined) json(reply, 429, {}, { 'x-ripcord-error': 'no_capacity' });
    else answer(reply, request, body);
  }
}

export function json(reply: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void {
  reply.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'call-1', ...headers }).end(JSON.stringify(value));
}

/** A good chat stream, with a heartbeat before it. */
export function chats(reply: ServerResponse): void {
  reply.writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': 'call-1' });
  reply.write(': beat\n\n');
  reply.end(`data: ${JSON.stringify({ choices: [{ delta: { content: 'two' } }] })}\n\ndata: [DONE]\n\n`);
}
