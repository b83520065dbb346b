/** A shaped call in, a Response out: the conductor's reply with the edge's own headers. */
import type { Context } from 'hono';
import { keyOfCall, once } from '../account/replays/once.ts';
import type { Vars } from '../api/vars.ts';
import { topUpUrl, type Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import type { Call, World } from './call.ts';
import { conduct } from './conduct.ts';
import type { Reply } from './pump.ts';
import type { ByteSink } from './ports.ts';
import { checkHead } from './shape.ts';
import { worldOf } from './world.ts';

/** What comes from a miner is data: a browser may not sniff, run or frame it. */
const SAFE_HEADERS: [string, string][] = [
  ['x-content-type-options', 'nosniff'],
  ['content-security-policy', 'sandbox'],
  ['cache-control', 'no-store'],
];

export async function serve(
  c: Context<{ Bindings: Env; Variables: Vars }>,
  call: Omit<Call, 'id' | 'signal' | 'crowd'>,
): Promise<Response> {
  checkHead(call);
  const background = (work: Promise<unknown>): void => c.executionCtx.waitUntil(work);
  const key = keyOfCall(c);
  const conducted =
    key !== null
      ? once(c, call, key)
      : reached({ ...call, id: c.get('requestId'), signal: c.req.raw.signal, crowd: onTheirWay >= CROWD }, worldOf(c.env, background));
  // A client that leaves takes its request with it; what has to be told then is told all the same.
  background(conducted.catch(() => {}));
  const reply = await conducted.catch((error: unknown) => {
    if (error instanceof RipcordError && error.code === 'insufficient_credit') error.detail.topUpUrl = topUpUrl(c.env);
    throw error;
  });
  return respond(c, reply, new Headers([...reply.headers, ...SAFE_HEADERS, ['x-request-id', c.get('requestId')]]));
}

/** A reply as a Response; one that is pumped goes on in the background. */
export function respond(c: Context<{ Bindings: Env; Variables: Vars }>, reply: Reply, headers: Headers): Response {
  if ('body' in reply) return new Response(hasNoBody(reply.status) ? null : reply.body, { status: reply.status, headers });
  if (hasNoBody(reply.status)) {
    c.executionCtx.waitUntil(reply.pump(NOWHERE));
    return new Response(null, { status: reply.status, headers });
  }
  const { readable, writable } = new IdentityTransformStream();
  c.executionCtx.waitUntil(reply.pump(writable.getWriter()));
  return new Response(readable, { status: reply.status, headers });
}

/** Waits for the end of a reply that has no bytes. */
const NOWHERE: ByteSink = {
  write: () => Promise.resolve(),
  close: () => Promise.resolve(),
  abort: () => Promise.resolve(),
};

/** Calls of this isolate that have no reply yet, and how many of them are a crowd. */
let onTheirWay = 0;
const CROWD = 8;

async function reached(call: Call, world: World): Promise<Reply> {
  onTheirWay += 1;
  try {
    return await conduct(call, world);
  } finally {
    onTheirWay -= 1;
  }
}

function hasNoBody(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}
