/** What a running agent says of itself: `GET /status` of its control socket, and what the live view draws. */
import * as z from 'zod/mini';
import { instanceStateSchema, inventorySchema, WHY_CODES } from '#protocol';

const count = z.number().check(z.nonnegative());

const instanceSchema = z.object({
  instance: z.string(),
  name: z.string(),
  version: z.string(),
  runtime: z.string(),
  state: instanceStateSchema,
  detail: z.string(),
  /** Ids of the devices it was given. */
  devices: z.array(z.string()),
  slots: count,
  busy: count,
  /** Since it started here. */
  calls: count,
  failed: count,
  tokens_out: count,
  /** Unix milliseconds. */
  since: count,
  /** USD an hour it was expected to earn when it was taken; null: unknown. */
  expected_usd_hour: z.nullable(z.number()),
});

export const reasonSchema = z.object({ code: z.enum(WHY_CODES), count, chutes: z.array(z.string()) });

export const statusSchema = z.object({
  /** Unix milliseconds, as all times here. */
  at: count,
  started_at: count,
  /** This agent's id at the edge; absent before the first connection. */
  agent: z.optional(z.string()),
  pid: count,
  version: z.string(),
  hotkey: z.string(),
  name: z.string(),
  api: z.string(),
  data: z.string(),
  link: z.object({ state: z.enum(['dialling', 'up', 'down']), detail: z.string(), since: count }),
  maintenance: z.boolean(),
  draining: z.boolean(),
  pin: z.array(z.string()),
  forbid: z.array(z.string()),
  inventory: inventorySchema,
  instances: z.array(instanceSchema),
  /** Calls and output tokens since the agent started. */
  served: z.object({ calls: count, failed: count, tokens_out: count }),
  /** Offers on the board, and why no more of them are taken; counted. */
  offers: count,
  reasons: z.array(reasonSchema),
});
export type Status = z.infer<typeof statusSchema>;
export type StatusInstance = Status['instances'][number];
