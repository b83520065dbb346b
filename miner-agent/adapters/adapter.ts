/** What an adapter is: it stands between a runtime and the calls, so that what was made for another service runs unchanged. */
import type { ChuteConfig } from '#protocol';
import type { Runtime, RuntimeContext } from '../runtimes/runtime.ts';

export type MakeRuntime = (context: RuntimeContext) => Runtime;
/** Calls `make` once, with what it adds to the context. */
export type Adapter = (make: MakeRuntime, context: RuntimeContext) => Runtime;

/** The context with other fields of the config. */
export function withConfig(context: RuntimeContext, config: Partial<ChuteConfig>): RuntimeContext {
  return { ...context, spec: { ...context.spec, config: { ...context.spec.config, ...config } } };
}
