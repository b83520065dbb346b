/**
 * Version 1 of the wire as agents of that time read it, frozen: what the edge says to a session of version 1 has to pass these
 * schemas until version 1 is served no more. Nothing here follows the code.
 */
import * as z from 'zod/mini';

const id = z.string().check(z.minLength(1), z.maxLength(64));
const count = z.number().check(z.int(), z.nonnegative());
const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const unitPrice = z.number().check(z.int(), z.nonnegative(), z.lte(1e13));
const free = () => z._default(unitPrice, 0);

const cordSchema = z.strictObject({
  path: z.string().check(z.regex(/^\/[A-Za-z0-9\-._~!$&'()*+,;=:@%/{}]{0,255}$/)),
  method: z._default(z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']), 'POST'),
  retry: z._default(z.enum(['safe', 'never']), 'never'),
});

const gpuSchema = z.strictObject({
  count: z._default(z.number().check(z.int(), z.gte(1), z.lte(8)), 1),
  min_vram_gb: z._default(z.number().check(z.gte(1), z.lte(1024)), 16),
  include: z._default(z.array(z.string().check(z.maxLength(64))).check(z.maxLength(64)), []),
  exclude: z._default(z.array(z.string().check(z.maxLength(64))).check(z.maxLength(64)), []),
});

const priceSchema = z.strictObject({
  input_per_million: free(),
  cached_per_million: z.optional(unitPrice),
  output_per_million: free(),
  per_second: free(),
  per_request: free(),
  per_image: free(),
  per_step: free(),
  per_instance_second: free(),
});

const chuteConfigSchema = z.strictObject({
  name: z.string().check(z.regex(/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/)),
  tagline: z._default(z.string().check(z.maxLength(200)), ''),
  public: z._default(z.boolean(), false),
  template: z._default(z.enum(['openai', 'http']), 'http'),
  image: z.optional(z.string().check(z.maxLength(512))),
  command: z.optional(z.array(z.string().check(z.minLength(1), z.maxLength(4096))).check(z.minLength(1), z.maxLength(64))),
  port: z.optional(z.number().check(z.int(), z.gte(1), z.lte(65535))),
  health: z._default(z.string().check(z.regex(/^\/[!-~]{0,255}$/)), '/health'),
  start_timeout: z._default(z.number().check(z.int(), z.gte(1), z.lte(3600)), 300),
  cords: z._default(z.array(cordSchema).check(z.maxLength(64)), []),
  gpu: z.optional(gpuSchema),
  concurrency: z._default(z.number().check(z.int(), z.gte(1), z.lte(256)), 1),
  min: z._default(z.number().check(z.int(), z.gte(0), z.lte(100)), 0),
  max: z._default(z.number().check(z.int(), z.gte(1), z.lte(100)), 1),
  timeout: z._default(z.number().check(z.int(), z.gte(1), z.lte(600)), 300),
  env: z._default(z.record(z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/)), z.string().check(z.maxLength(32768))), {}),
  price: z.optional(priceSchema),
});

const specSchema = z.object({
  chute: z.string().check(z.maxLength(64)),
  name: z.string().check(z.maxLength(96)),
  account: z.string().check(z.maxLength(64)),
  version: hash,
  config: chuteConfigSchema,
  code: z.nullable(z.strictObject({ sha256: hash, bytes: z.number().check(z.int(), z.positive()) })),
});

const REFUSALS = ['no_need', 'taken', 'stale_version', 'cooling_down', 'not_eligible', 'unknown_chute'] as const;
const STOPS = ['scaled_down', 'replaced', 'deleted', 'unknown_instance', 'start_timeout', 'gated'] as const;

/** A control message to an agent of version 1. */
export const downSchema1 = z.discriminatedUnion('type', [
  z.object({ type: z.literal('welcome'), epoch: count, now: count }),
  z.object({ type: z.literal('grant'), ref: id, instance: id, deadlineMs: count, spec: specSchema }),
  z.object({ type: z.literal('refusal'), ref: id, code: z.enum(REFUSALS), retryAfterMs: count }),
  z.object({ type: z.literal('stop'), instance: id, reason: z.enum(STOPS), noticeMs: count }),
  z.object({ type: z.literal('ping'), id }),
  z.object({ type: z.literal('goaway'), retryAfterMs: count }),
]);

/** A line of `GET /market`. */
export const offerSchema1 = z.object({
  chute: id,
  name: z.string().check(z.regex(/^[a-z0-9-]{1,64}\/[a-z0-9-]{1,64}$/)),
  version: hash,
  need: count,
  urgency: z.number(),
  bounty_nanousd: z.number(),
  gpu: z.nullable(gpuSchema),
  runtime: z.enum(['image', 'command']),
  code: z.nullable(hash),
  owner: z.string().check(z.maxLength(64)),
  since: z.number(),
});

/** The answer to a request for a challenge. */
export const challengeReplySchema1 = z.object({
  agent: z.string().check(z.maxLength(64)),
  challenge: z.string().check(z.maxLength(256)),
  origin: z.string().check(z.maxLength(256)),
});
