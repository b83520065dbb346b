/** The floor's agent: one outbound WebSocket, one keep-alive pool to the engine, frames of one turn sent as one message. */
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import WebSocket from 'ws';
import { decode, encode, FRAME, type Frame } from './frames.ts';

const [, , edge, engine] = process.argv;
if (edge === undefined || engine === undefined) throw new Error('usage: agent.ts EDGE_WS_URL ENGINE_URL');

const NONE = new Uint8Array(0);
const encoder = new TextEncoder();
const pool = new Agent({ keepAlive: true });
const calls = new Map<number, ClientRequest>();
const socket = new WebSocket(edge, { perMessageDeflate: false });
let queue: Frame[] = [];

function send(frame: Frame): void {
  if (queue.length === 0) setImmediate(flush);
  queue.push(frame);
}

function flush(): void {
  socket.send(encode(queue));
  queue = [];
}

function open(stream: number, meta: { method: string; path: string; type: string | null }): ClientRequest {
  const call = request(engine + meta.path, {
    method: meta.method,
    agent: pool,
    headers: { 'content-type': meta.type ?? 'application/json' },
  });
  call.on('response', (res: IncomingMessage) => {
    send({
      type: FRAME.HEAD,
      stream,
      payload: encoder.encode(JSON.stringify({ status: res.statusCode, type: res.headers['content-type'] })),
    });
    res.on('data', (chunk: Buffer) => send({ type: FRAME.DATA, stream, payload: chunk }));
    res.on('end', () => send({ type: FRAME.END, stream, payload: NONE }));
  });
  call.on('error', () => send({ type: FRAME.RESET, stream, payload: NONE }));
  call.on('close', () => calls.delete(stream));
  return call;
}

function take(frame: Frame): void {
  if (frame.type === FRAME.OPEN) {
    calls.set(frame.stream, open(frame.stream, JSON.parse(Buffer.from(frame.payload).toString()) as Parameters<typeof open>[1]));
    return;
  }
  const call = calls.get(frame.stream);
  if (frame.type === FRAME.DATA) {
    call?.setHeader('content-length', frame.payload.byteLength);
    call?.write(frame.payload);
  } else if (frame.type === FRAME.END) call?.end();
  else call?.destroy();
}

socket.on('open', () => process.stdout.write('{"connected":true}\n'));
socket.on('message', (data: Buffer) => decode(data).forEach(take));
socket.on('close', () => process.exit(0));
process.stdin.resume().on('close', () => process.exit(0));
