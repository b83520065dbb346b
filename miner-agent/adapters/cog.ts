/**
 * Adapter `cog`: an image built by cog serves its own routes, which pass unchanged. What differs is how it tells its
 * health: `/health-check` answers 200 from the first second and says the state in its body.
 * After cog's docs/http.md; seen with cog and coglet 0.23.1.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from '../runtimes/endpoint.ts';
import { StartFailed, type Runtime, type RuntimeContext } from '../runtimes/runtime.ts';
import { withConfig, type MakeRuntime } from './adapter.ts';
import { cogHealth, type CogHealth } from './cog-health.ts';
import { getJson } from './http.ts';

/** What cog's server listens on unless `$PORT` says otherwise. */
const PORT = 5000;
const PATH = '/health-check';
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;
/** Milliseconds between two looks at a model that serves, and looks in a row that may go wrong. */
const CHECK_MS = 15_000;
const MISSES = 3;

export function cogAdapter(make: MakeRuntime, context: RuntimeContext): Runtime {
  const { port = PORT, env, start_timeout } = context.spec.config;
  const inner = make(withConfig(context, { port, env: { PORT: String(port), ...env } }));
  let timer: NodeJS.Timeout | null = null;

  async function ready(): Promise<void> {
    const endpoint = inner.endpoint();
    if (endpoint === null) throw new StartFailed('it was not started');
    await untilReady(endpoint, start_timeout * 1000, context);
    watch(endpoint, 0);
  }

  function watch(endpoint: Endpoint, misses: number): void {
    timer = setTimeout(() => {
      void look(endpoint, context.signal).then((health) => {
        if (context.signal.aborted) return;
        const missed = health.kind === 'ready' ? 0 : misses + 1;
        if (health.kind === 'gone' || missed >= MISSES) context.ended(health.detail);
        else watch(endpoint, missed);
      });
    }, CHECK_MS);
    timer.unref();
  }

  return {
    prepare: () => inner.prepare(),
    start: () => inner.start(),
    ready,
    endpoint: () => inner.endpoint(),
    stop: (graceMs) => {
      if (timer !== null) clearTimeout(timer);
      return inner.stop(graceMs);
    },
  };
}

async function untilReady(endpoint: Endpoint, limitMs: number, { signal, progress }: RuntimeContext): Promise<void> {
  const end = Date.now() + limitMs;
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 1.5, LONGEST_WAIT_MS)) {
    const health = await look(endpoint, signal);
    signal.throwIfAborted();
    if (health.kind === 'ready') return;
    if (health.kind === 'gone') throw new StartFailed(health.detail);
    if (Date.now() >= end) throw new StartFailed(`not ready after ${Math.round(limitMs / 1000)} s: ${health.detail}`);
    progress(health.detail);
    await sleep(Math.min(wait, Math.max(0, end - Date.now())), undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function look(endpoint: Endpoint, signal: AbortSignal): Promise<CogHealth> {
  try {
    return cogHealth(await getJson(endpoint, PATH, signal));
  } catch (error) {
    return { kind: 'not_yet', detail: error instanceof Error ? error.message : `${PATH} gave nothing` };
  }
}
