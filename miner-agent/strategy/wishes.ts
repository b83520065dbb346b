/** The operator's wishes, as the config has them. */
import type { Config } from '../config.ts';
import type { Wishes } from './world.ts';

export function wishesOf(config: Config): Wishes {
  const { allow, engines, maxInstances, pin, forbid, maintenance, minUsdPerHour, usdPerKwh } = config;
  return { allow, engines: engines.map((e) => e.chute), maxInstances, pin, forbid, maintenance, minUsdPerHour, usdPerKwh };
}
