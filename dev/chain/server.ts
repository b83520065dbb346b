/**
 * The stand-in over HTTP and WebSocket on one port: JSON-RPC, the explorer, a faucet for registrations, and what breaks it.
 *
 *   POST /            JSON-RPC, alone or in batches     GET /   the explorer: a page, or JSON for who asks for that
 *   POST /register    {hotkey, coldkey?, stake?}         POST /control   {fault?, drop?, reorg?, lose?, spec?, changed?, commitReveal?, blocks?}
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import * as z from 'zod/mini';
import { decodeAddress } from '../../miner-agent/identity/ss58.ts';
import { LOOPBACK } from '../ports.ts';
import { PAGE, viewOf } from './explorer.ts';
import { answer, RpcError, type Node } from './rpc.ts';
import { ITEMS } from './state.ts';
import { Subscriptions } from './subscriptions.ts';

export interface ChainServer {
  /** `http://127.0.0.1:PORT`; WebSockets are at the same port. */
  url: string;
  close(): Promise<void>;
}

/** Bytes of a request, calls of a batch, and connections by WebSocket. */
const LIMITS = { body: 1024 * 1024, batch: 256, sockets: 64, unsent: 16 * 1024 * 1024 } as const;

const address = z.string().check(z.refine((text) => decodeAddress(text) !== null, 'no ss58 address'));
const rao = z.string().check(z.regex(/^[0-9]{1,18}$/));
const registerSchema = z.strictObject({ hotkey: address, coldkey: z.optional(address), stake: z.optional(rao), rao: z.optional(rao) });
const depth = z.int().check(z.gte(1), z.lte(100));
const controlSchema = z.strictObject({
  /** What happens to JSON-RPC: HTTP 429, or no answer. */
  fault: z.optional(z.nullable(z.enum(['busy', 'hang']))),
  /** So many extrinsics are taken and never included. */
  drop: z.optional(z.int().check(z.gte(0), z.lte(1_000))),
  /** Blocks that are not final are replaced; with `lose`, their extrinsics are gone. */
  reorg: z.optional(depth),
  lose: z.optional(z.boolean()),
  /** The runtime that comes with the next block, and whether its calls are others. */
  spec: z.optional(z.int().check(z.gte(1), z.lte(1_000_000))),
  changed: z.optional(z.boolean()),
  commitReveal: z.optional(z.boolean()),
  /** Made at once. */
  blocks: z.optional(depth),
});
const callSchema = z.object({
  id: z.union([z.number(), z.string(), z.null()]),
  method: z.string(),
  params: z._default(z.array(z.unknown()), []),
});

interface Service extends Node {
  fault: 'busy' | 'hang' | null;
}

export async function serveChain(node: Node, port = 0): Promise<ChainServer> {
  const service: Service = { ...node, fault: null };
  const server = createServer((request, response) => void serve(service, request, response));
  const sockets = new WebSocketServer({ server, maxPayload: LIMITS.body });
  sockets.on('connection', (socket) => (sockets.clients.size > LIMITS.sockets ? socket.close(1013) : attach(service, socket)));
  server.listen(port, LOOPBACK);
  await once(server, 'listening');
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${LOOPBACK}:${taken}`,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

async function serve(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const path = request.url ?? '/';
    if (request.method === 'GET') return look(service, request, response);
    // A page of another site may send text to this machine, but no JSON.
    if (request.method !== 'POST' || !/^application\/json\b/.test(request.headers['content-type'] ?? ''))
      return refuse(response, 415, 'POST JSON');
    const text = await bodyOf(request);
    if (text === null) return refuse(response, 413, 'the body is too long');
    const body = parse(text);
    if (path === '/register') return send(response, enlist(service, body));
    if (path === '/control') return send(response, control(service, body));
    if (service.fault === 'hang') return;
    if (service.fault === 'busy') return refuse(response, 429, 'too many requests');
    send(
      response,
      rpc(body, (method, params) => answer(service, method, params)),
    );
  } catch (error) {
    if (error instanceof z.core.$ZodError)
      return refuse(response, 400, error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
    // Who hung up in the middle of a request takes nobody with it.
    if (!request.complete) return;
    console.error(error);
    refuse(response, 500, 'this stand-in failed; its log says how');
  }
}

function look(service: Service, { url, headers }: IncomingMessage, response: ServerResponse): void {
  if (url !== '/') return refuse(response, 404, 'not found');
  if (!headers.accept?.includes('text/html')) return send(response, viewOf(service.chain));
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PAGE);
}

function enlist({ chain }: Service, body: unknown) {
  const { hotkey, coldkey = hotkey, stake = '0', rao: funds = '0' } = z.parse(registerSchema, body);
  return { registered: chain.enlist({ hotkey, coldkey, stake: BigInt(stake), rao: BigInt(funds) }), with_block: chain.best.number + 1 };
}

function control(service: Service, body: unknown) {
  const { chain } = service;
  const ask = z.parse(controlSchema, body);
  if (ask.fault !== undefined) service.fault = ask.fault;
  if (ask.drop !== undefined) chain.faults.drop = ask.drop;
  if (ask.spec !== undefined) chain.upgrade({ spec: ask.spec });
  if (ask.changed !== undefined) chain.upgrade({ changed: ask.changed });
  const { commitReveal } = ask;
  if (commitReveal !== undefined) chain.schedule(({ state }) => state.set(ITEMS.commitReveal, [chain.netuid], commitReveal));
  if (ask.reorg !== undefined) chain.reorganise(ask.reorg, { lose: ask.lose ?? false });
  for (let i = 0; i < (ask.blocks ?? 0); i++) chain.produce();
  return { fault: service.fault, drop: chain.faults.drop, best: chain.best.number, finalized: chain.finalized.number };
}

// ── JSON-RPC ──

type Answer = (method: string, params: unknown[]) => unknown;

function rpc(body: unknown, answering: Answer): unknown {
  if (!Array.isArray(body)) return one(body, answering);
  if (body.length === 0 || body.length > LIMITS.batch)
    return errorOf(null, new RpcError(-32_600, `A batch has 1 to ${LIMITS.batch} calls`));
  return body.map((call) => one(call, answering));
}

function one(body: unknown, answering: Answer) {
  const call = z.safeParse(callSchema, body);
  if (!call.success) return errorOf(null, new RpcError(-32_600, 'Invalid request'));
  const { id, method, params } = call.data;
  try {
    return { jsonrpc: '2.0', id, result: answering(method, params) };
  } catch (error) {
    if (error instanceof RpcError) return errorOf(id, error);
    console.error(error);
    return errorOf(id, new RpcError(-32_603, 'Internal error'));
  }
}

function errorOf(id: number | string | null, { code, message, data }: RpcError) {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } };
}

function attach(service: Service, socket: WebSocket): void {
  const write = (value: unknown) => {
    // Who does not read is let go.
    if (socket.bufferedAmount > LIMITS.unsent) socket.terminate();
    else socket.send(JSON.stringify(value));
  };
  const subscriptions = new Subscriptions(service, {
    send: (method, subscription, result) => write({ jsonrpc: '2.0', method, params: { subscription, result } }),
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => subscriptions.close());
  socket.on('message', (data: Buffer) => {
    if (service.fault === 'hang') return;
    if (service.fault === 'busy') return socket.close(1013);
    const after: (() => void)[] = [];
    const reply = rpc(parse(data.toString('utf8')), (method, params) => {
      const subscribed = subscriptions.handle(method, params, (task) => after.push(task));
      return subscribed === undefined ? answer(service, method, params) : subscribed;
    });
    write(reply);
    for (const task of after) task();
  });
}

// ── HTTP ──

async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > LIMITS.body) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(200, { 'content-type': 'application/json' }).end(text);
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: why }));
}
