/** The edge Worker: requests, its cron, and one Durable Object class per noun. */
import { app } from './app.ts';
import type { Env } from './env.ts';
import { housekeeping } from './housekeeping.ts';

export { AccountObject } from './account/object.ts';
export { ChuteObject } from './chute/object.ts';
export { MarketObject } from './market/object.ts';
export { MinerObject } from './miner/object.ts';

export default {
  fetch: app.fetch,
  async scheduled(_controller, env) {
    await housekeeping(env, Date.now());
  },
} satisfies ExportedHandler<Env>;
