/** Runtime `url`: the engine runs already, on this machine or near it; the agent only brings calls to it. */
import { healthOf } from '#protocol';
import type { Endpoint } from './endpoint.ts';
import { untilHealthy } from './health.ts';
import type { Runtime, RuntimeContext } from './runtime.ts';

/** Milliseconds between two looks at an engine that serves. */
const CHECK_MS = 15_000;
/** Looks in a row that may fail before the instance counts as ended. */
const MISSES = 3;

export function urlRuntime(base: URL, context: RuntimeContext): Runtime {
  const endpoint: Endpoint = { url: base, socketPath: null };
  const health = healthOf(context.spec.config);
  let timer: NodeJS.Timeout | null = null;

  function watch(misses: number): void {
    timer = setTimeout(() => {
      untilHealthy(endpoint, health, 0, context.signal, () => {}).then(
        () => watch(0),
        (error: unknown) => {
          if (context.signal.aborted) return;
          if (misses + 1 < MISSES) return watch(misses + 1);
          context.ended(error instanceof Error ? error.message : 'the engine is gone');
        },
      );
    }, CHECK_MS);
    timer.unref();
  }

  return {
    prepare: async () => {},
    start: async () => {},
    ready: async () => {
      await untilHealthy(endpoint, health, context.spec.config.start_timeout * 1000, context.signal, context.progress);
      watch(0);
    },
    endpoint: () => endpoint,
    stop: async () => {
      if (timer !== null) clearTimeout(timer);
    },
  };
}
