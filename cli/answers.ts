/** The API's answers as the command reads them. Loose: fields it does not know are kept and printed by `--json`. */
import * as z from 'zod/mini';

const text = z.string();

export const accountSchema = z.looseObject({ account_id: text, handle: z.nullish(text), hotkey: z.nullish(text) });
export type Account = z.infer<typeof accountSchema>;

const time = z.nullish(z.union([z.string(), z.number()]));

const nanousd = z._default(z.string().check(z.regex(/^-?\d{1,30}$/)), '0');

export interface CapWish {
  limit_nanousd: string;
  period: string;
}

export const keySchema = z.looseObject({
  key_id: text,
  name: z.nullish(text),
  scopes: z._default(z.array(text), []),
  created_at: time,
  expires_at: time,
  cap: z.nullish(z.looseObject({ limit_nanousd: nanousd, period: text, remaining_nanousd: nanousd, resets_at: time })),
});
export type Key = z.infer<typeof keySchema>;

export const newKeySchema = z.extend(keySchema, { secret_key: text });
export type NewKey = z.infer<typeof newKeySchema>;

export const deployedSchema = z.looseObject({
  chute_id: text,
  name: text,
  slug: text,
  version: text,
  created: z._default(z.unknown(), null),
});
export type Deployed = z.infer<typeof deployedSchema>;

export const instanceSchema = z.looseObject({
  instance_id: text,
  state: text,
  version: z.nullish(text),
  detail: z.nullish(text),
});
export type Instance = z.infer<typeof instanceSchema>;

/** The last failed start of the current version. */
export const startErrorSchema = z.looseObject({
  at: time,
  message: z.nullish(text),
  /** In a row, on one agent. */
  failed_starts: z.nullish(z.number()),
  crash_loop: z.nullish(z.boolean()),
});
export type StartError = z.infer<typeof startErrorSchema>;

export const chuteSchema = z.looseObject({
  chute_id: text,
  name: text,
  slug: z.nullish(text),
  tagline: z.nullish(text),
  public: z.nullish(z.boolean()),
  version: z.nullish(text),
  template: z.nullish(text),
  price: z.nullish(z.record(text, z.number())),
  /** Why no instance is started. */
  held_back: z.nullish(z.looseObject({ code: text, since: time })),
  instances: z._default(z.array(instanceSchema), []),
  last_error: z.nullish(startErrorSchema),
});
export type Chute = z.infer<typeof chuteSchema>;

/** Where a chute stands on its way to an instance. */
export const warmSchema = z.looseObject({
  name: text,
  status: text,
  phase: text,
  progress: z.nullish(z.number()),
  detail: z._default(text, ''),
  log: z._default(text, ''),
  waiting_ms: z.nullish(z.number()),
  last_error: z.nullish(startErrorSchema),
});
export type Warm = z.infer<typeof warmSchema>;

/** Why a call waits, runs or ended as it did. */
export const callWhySchema = z.looseObject({
  call: text,
  state: text,
  since: time,
  waited_ms: z.nullish(z.number()),
  position: z.nullish(z.number()),
  eta_ms: z.nullish(z.number()),
  reasons: z.array(z.looseObject({ code: text, count: z.number(), text })),
  next: z.nullish(z.looseObject({ code: text, text })),
});
export type CallWhy = z.infer<typeof callWhySchema>;

export const priceSchema = z.looseObject({
  price_version: text,
  price: z.record(text, z.number()),
  discount_bps: z.number(),
  starts_at: time,
  ends_at: time,
  in_force: z.boolean(),
  note: z.nullish(text),
});
export type PriceVersion = z.infer<typeof priceSchema>;

export const versionSchema = z.looseObject({ version: text, created_at: time, current: z.nullish(z.boolean()) });
export type Version = z.infer<typeof versionSchema>;

/** Without what it holds: no answer has that. */
export const secretSchema = z.looseObject({
  secret_id: text,
  purpose: text,
  kind: z._default(text, 'env'),
  key: text,
  created_at: time,
  updated_at: time,
});
export type Secret = z.infer<typeof secretSchema>;

export const shareSchema = z.looseObject({ user_id: text, user_name: z.nullish(text), shared_at: time });
export type Share = z.infer<typeof shareSchema>;

export const logLineSchema = z.looseObject({
  instance_id: text,
  seq: z.number(),
  at: z.union([z.string(), z.number()]),
  source: text,
  text,
});
export type LogLine = z.infer<typeof logLineSchema>;

const count = z._default(z.number(), 0);
/** Nano-USD, as decimal text. */

export const balanceSchema = z.looseObject({
  available_nanousd: nanousd,
  cash_nanousd: nanousd,
  promo_nanousd: nanousd,
  held_nanousd: nanousd,
  unbilled_nanousd: nanousd,
  as_of: time,
});
export type Balance = z.infer<typeof balanceSchema>;

export const quoteSchema = z.looseObject({
  most_nanousd: nanousd,
  lines: z.array(z.looseObject({ what: text, units: z.number(), nanousd })),
  available_nanousd: z.nullish(text),
  fits: z.nullish(z.boolean()),
});
export type Quote = z.infer<typeof quoteSchema>;

const sumFields = {
  calls: count,
  errors: count,
  tokens_in: count,
  cached_in: count,
  tokens_out: count,
  seconds: count,
  cost_nanousd: nanousd,
};
export const usageSchema = z.looseObject({
  from: text,
  to: text,
  items: z.array(
    z.looseObject({ ...sumFields, chute_id: z.nullish(text), key_id: z.nullish(text), day: z.nullish(text), name: z.nullish(text) }),
  ),
  total: z.nullish(z.looseObject(sumFields)),
  truncated: z.nullish(z.boolean()),
});
export type Usage = z.infer<typeof usageSchema>;

const percentiles = z._default(z.looseObject({ p50: z.nullish(z.number()), p95: z.nullish(z.number()) }), {});
export const metricsSchema = z.looseObject({
  name: text,
  window: text,
  from: text,
  to: text,
  truncated: z.nullish(z.boolean()),
  items: z.array(
    z.looseObject({
      version: z.nullish(text),
      miner: z.nullish(text),
      region: z.nullish(text),
      calls: count,
      failed: count,
      cancelled: count,
      errors: z._default(z.record(text, z.number()), {}),
      retries: count,
      cold_starts: count,
      queue_ms: percentiles,
      first_byte_ms: percentiles,
      duration_ms: percentiles,
      tokens_per_second: percentiles,
      cost_nanousd: nanousd,
    }),
  ),
});
export type Metrics = z.infer<typeof metricsSchema>;

export const callSchema = z.looseObject({
  call_id: text,
  state: text,
  code: z.nullish(text),
  chute_id: text,
  version: z.nullish(text),
  key_id: z.nullish(text),
  opened_at: time,
  closed_at: time,
  hold_nanousd: nanousd,
  cost_nanousd: nanousd,
  price_version: z.nullish(text),
  attempts: z._default(
    z.array(
      z.looseObject({
        attempt: z.number(),
        outcome: text,
        code: z.nullish(text),
        status: z.nullish(z.number()),
        miner_hotkey: z.nullish(text),
        region: z.nullish(text),
        waited_ms: z.nullish(z.number()),
        first_byte_ms: z.nullish(z.number()),
        last_byte_ms: z.nullish(z.number()),
        tokens_in: z.nullish(z.number()),
        cached_in: z.nullish(z.number()),
        tokens_out: z.nullish(z.number()),
        cost_nanousd: nanousd,
      }),
    ),
    [],
  ),
});
export type Call = z.infer<typeof callSchema>;

export const checkoutSchema = z.looseObject({ checkout_id: text, url: z.url() });
export type Checkout = z.infer<typeof checkoutSchema>;

export function listOf<T extends z.ZodMiniType>(item: T) {
  return z.looseObject({ items: z.array(item), next: z.nullish(text) });
}

/** A problem document (RFC 9457), or OpenAI's error object, as the service gives them. */
export const problemSchema = z.looseObject({
  code: text,
  detail: z.nullish(text),
  title: z.nullish(text),
  hint: z.nullish(text),
  request_id: z.nullish(text),
});
export const openAiErrorSchema = z.looseObject({
  error: z.looseObject({ code: z.nullish(text), message: text, request_id: z.nullish(text) }),
});

export const chatChunkSchema = z.looseObject({
  choices: z._default(z.array(z.looseObject({ delta: z.nullish(z.looseObject({ content: z.nullish(text) })) })), []),
});
