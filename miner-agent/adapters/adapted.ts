import type { ChuteConfig } from '#protocol';
import type { Adapter, MakeRuntime } from './adapter.ts';
import { cogAdapter } from './cog.ts';
import { runpodAdapter } from './runpod/adapter.ts';

const ADAPTERS: Record<NonNullable<ChuteConfig['adapter']>, Adapter> = { cog: cogAdapter, runpod: runpodAdapter };

/** The same runtime behind the adapter that the chute names; without one, itself. */
export function adapted(make: MakeRuntime): MakeRuntime {
  return (context) => {
    const { adapter } = context.spec.config;
    return adapter === undefined ? make(context) : ADAPTERS[adapter](make, context);
  };
}
