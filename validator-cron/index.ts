/**
 * The judge: a Worker of its own, with its own hotkey, that tests miners through the edge's public API. Its cron fires
 * every minute; under plain workerd, which has no cron, `POST /internal/cron` with the internal token does the same.
 */
import { readConfig, type JudgeEnv } from './config.ts';
import { tick } from './tick.ts';

export { SignerObject } from './chain/signer.ts';

export default {
  async scheduled(controller, env) {
    await runTick(env, controller.scheduledTime);
  },

  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (request.method === 'GET' && pathname === '/health') return health(env);
    if (request.method === 'POST' && pathname === '/internal/cron' && env.INTERNAL_TOKEN) {
      if (!(await mayTick(request, env.INTERNAL_TOKEN))) return Response.json({ error: 'invalid_token' }, { status: 401 });
      return runTick(env, Date.now()).then(
        (report) => Response.json(report),
        () => Response.json({ error: 'tick_failed' }, { status: 502 }),
      );
    }
    return Response.json({ error: 'not_found' }, { status: 404 });
  },
} satisfies ExportedHandler<JudgeEnv>;

async function runTick(env: JudgeEnv, atMs: number) {
  try {
    const report = await tick(readConfig(env), atMs);
    console.log(JSON.stringify({ event: 'tick', ...report }));
    return report;
  } catch (error) {
    console.error(JSON.stringify({ event: 'tick_failed', reason: error instanceof Error ? error.message : 'unknown' }));
    throw error;
  }
}

/** Says whose judge this is; a config that cannot work is told here rather than at the first tick. */
function health(env: JudgeEnv): Response {
  try {
    return Response.json({ ok: true, judge: readConfig(env).hotkey.ss58 });
  } catch (error) {
    return Response.json({ ok: false, reason: error instanceof Error ? error.message : 'unknown' }, { status: 503 });
  }
}

/** Both sides are hashed, so the comparison tells nothing, not even the length. */
async function mayTick(request: Request, token: string): Promise<boolean> {
  const digest = (text: string) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  const [given, due] = await Promise.all([digest(request.headers.get('authorization') ?? ''), digest(`Bearer ${token}`)]);
  return crypto.subtle.timingSafeEqual(given, due);
}
