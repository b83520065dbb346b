/**
 * The judge: a Worker of its own, with its own hotkey, that tests miners through the edge's public API. Its cron fires
 * every minute; under plain workerd, which has no cron, `POST /internal/cron` with the internal token does the same.
 */
import * as z from 'zod/mini';
import { makeBench, type Bench } from './bench.ts';
import { judgeAll } from './challenges/judge.ts';
import { partSchema } from './challenges/share.ts';
import { postWeights, type SignerEnv } from './chain/signer.ts';
import { readConfig, type JudgeEnv } from './config.ts';
import { tick } from './tick.ts';
import { jsonOrNull } from './json.ts';

export { SignerObject } from './chain/signer.ts';

/** Milliseconds a tick may take, and a part of one; the cron comes again after a minute. */
const TICK_MS = 55_000;
const BODY_BYTES = 8 * 1024;

type Env = JudgeEnv & SignerEnv;

export default {
  async scheduled(controller, env) {
    await runTick(env, controller.scheduledTime);
  },

  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (request.method === 'GET' && pathname === '/health') return health(env);
    const internal = INTERNAL[pathname];
    if (request.method !== 'POST' || internal === undefined || !env.INTERNAL_TOKEN)
      return Response.json({ error: 'not_found' }, { status: 404 });
    if (!(await mayEnter(request, env.INTERNAL_TOKEN))) return Response.json({ error: 'invalid_token' }, { status: 401 });
    return internal(request, env, ctx);
  },
} satisfies ExportedHandler<Env>;

const INTERNAL: Record<string, (request: Request, env: Env, ctx: ExecutionContext) => Promise<Response>> = {
  /** `?whole` waits for the judge's own calls too; else the next tick is not kept waiting for them. */
  '/internal/cron': async (request, env, ctx) => {
    const whole = new URL(request.url).searchParams.has('whole');
    try {
      return Response.json(await runTick(env, Date.now(), whole ? undefined : ctx));
    } catch {
      return Response.json({ error: 'tick_failed' }, { status: 502 });
    }
  },
  '/internal/judge': async (request, env) => {
    const text = Number(request.headers.get('content-length') ?? BODY_BYTES + 1) > BODY_BYTES ? '' : await request.text();
    const part = z.safeParse(partSchema, jsonOrNull(text));
    if (!part.success) return Response.json({ error: 'invalid_request' }, { status: 400 });
    try {
      const verdicts = await judgeAll(benchOf(env), part.data.ids);
      return Response.json({ reasons: verdicts.map((v) => v.reason) });
    } catch (error) {
      console.error(JSON.stringify({ event: 'part_failed', reason: reasonOf(error) }));
      return Response.json({ error: 'part_failed' }, { status: 502 });
    }
  },
};

function benchOf(env: Env): Bench {
  const config = readConfig(env);
  return makeBench(config, config.chain === null ? null : (ask) => postWeights(env, ask), AbortSignal.timeout(TICK_MS));
}

async function runTick(env: Env, atMs: number, ctx?: ExecutionContext) {
  try {
    const later = ctx && ((calls: Promise<unknown>) => ctx.waitUntil(calls.then((report) => log('calls', report))));
    const report = await tick(benchOf(env), atMs, later);
    log('tick', report);
    return report;
  } catch (error) {
    console.error(JSON.stringify({ event: 'tick_failed', reason: reasonOf(error) }));
    throw error;
  }
}

function log(event: string, report: unknown): void {
  console.log(JSON.stringify({ event, ...(typeof report === 'object' ? report : {}) }));
}

/** Says whose judge this is; a config that cannot work is told here rather than at the first tick. */
function health(env: Env): Response {
  try {
    return Response.json({ ok: true, judge: readConfig(env).hotkey.ss58 });
  } catch (error) {
    return Response.json({ ok: false, reason: reasonOf(error) }, { status: 503 });
  }
}

/** Both sides are hashed, so the comparison tells nothing, not even the length. */
async function mayEnter(request: Request, token: string): Promise<boolean> {
  const digest = (text: string) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  const [given, due] = await Promise.all([digest(request.headers.get('authorization') ?? ''), digest(`Bearer ${token}`)]);
  return crypto.subtle.timingSafeEqual(given, due);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
