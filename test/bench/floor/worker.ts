/**
 * The floor: the least a relay in this architecture can do. Worker → object → WebSocket → agent, bodies buffered, frames
 * of 12 bytes, a reply that ends within its first message answered as bytes. No keys, no money, no metering, no flow
 * control, no durable write. What the real path costs beyond this is the price of its guarantees.
 */
import { DurableObject } from 'cloudflare:workers';
import { decode, encode, FRAME, type Frame } from './frames.ts';

interface Env {
  RELAY: DurableObjectNamespace<RelayObject>;
}

interface Reply {
  stream: number;
  resolve(response: Response): void;
  head: { status: number; type: string } | null;
  chunks: Uint8Array[];
  ended: boolean;
  controller: ReadableStreamDefaultController<Uint8Array> | null;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const agent = url.pathname.startsWith('/agent/') ? url.pathname.slice(7) : 'relay';
    const stub = env.RELAY.get(env.RELAY.idFromName(agent));
    if (request.headers.get('upgrade') === 'websocket') return stub.fetch(request);
    const body = await request.arrayBuffer();
    return stub.fetch(request.url, {
      method: request.method,
      headers: request.headers,
      body,
      signal: request.signal,
    });
  },
};

export class RelayObject extends DurableObject<Env> {
  readonly #replies = new Map<number, Reply>();
  readonly #fresh = new Set<Reply>();
  #next = 2 * crypto.getRandomValues(new Uint16Array(1))[0]!;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
  }

  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get('upgrade') === 'websocket') return this.#accept();
    const socket = this.ctx.getWebSockets()[0];
    if (socket === undefined) return new Response('no agent', { status: 503 });
    const body = new Uint8Array(await request.arrayBuffer());
    const stream = (this.#next += 2);
    const open = new TextEncoder().encode(
      JSON.stringify({
        method: request.method,
        path: new URL(request.url).pathname,
        type: request.headers.get('content-type'),
      }),
    );
    return new Promise((resolve) => {
      this.#replies.set(stream, {
        stream,
        resolve,
        head: null,
        chunks: [],
        ended: false,
        controller: null,
      });
      socket.send(
        encode([
          { type: FRAME.OPEN, stream, payload: open },
          { type: FRAME.DATA, stream, payload: body },
          { type: FRAME.END, stream, payload: new Uint8Array(0) },
        ]),
      );
    });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    if (typeof message === 'string') return;
    for (const frame of decode(new Uint8Array(message))) this.#take(frame);
    for (const reply of this.#fresh) this.#answer(reply, socket);
    this.#fresh.clear();
  }

  override webSocketClose(): void {}

  #accept(): Response {
    const pair = new WebSocketPair();
    this.ctx.acceptWebSocket(pair[1]);
    return new Response(null, { status: 101, webSocket: pair[0] });
  }

  #take(frame: Frame): void {
    const reply = this.#replies.get(frame.stream);
    if (reply === undefined) return;
    if (frame.type === FRAME.HEAD) {
      reply.head = JSON.parse(new TextDecoder().decode(frame.payload)) as {
        status: number;
        type: string;
      };
      this.#fresh.add(reply);
    } else if (frame.type === FRAME.DATA) {
      if (reply.controller === null) reply.chunks.push(frame.payload);
      else reply.controller.enqueue(frame.payload);
    } else {
      this.#replies.delete(frame.stream);
      reply.ended = true;
      if (frame.type === FRAME.RESET && reply.head === null) reply.resolve(new Response('agent failed', { status: 502 }));
      else reply.controller?.close();
    }
  }

  /** The head came in this message: bytes if the whole reply did too, else a stream. */
  #answer(reply: Reply, socket: WebSocket): void {
    const init = { status: reply.head!.status, headers: { 'content-type': reply.head!.type } };
    if (reply.ended) return reply.resolve(new Response(reply.chunks.length === 1 ? reply.chunks[0]! : new Blob(reply.chunks), init));
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        reply.controller = controller;
        for (const chunk of reply.chunks) controller.enqueue(chunk);
      },
      cancel: () => {
        this.#replies.delete(reply.stream);
        socket.send(encode([{ type: FRAME.RESET, stream: reply.stream, payload: new Uint8Array(0) }]));
      },
    });
    reply.resolve(new Response(body, init));
  }
}
