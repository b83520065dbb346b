/** The API's answers as the command reads them. Loose: fields it does not know are kept and printed by `--json`. */
import * as z from 'zod/mini';

const text = z.string();

export const accountSchema = z.looseObject({ account_id: text, handle: z.nullish(text), hotkey: z.nullish(text) });
export type Account = z.infer<typeof accountSchema>;

const time = z.nullish(z.union([z.string(), z.number()]));

export const keySchema = z.looseObject({
  key_id: text,
  name: z.nullish(text),
  scopes: z._default(z.array(text), []),
  created_at: time,
  expires_at: time,
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
  instances: z._default(z.array(instanceSchema), []),
  last_error: z.nullish(startErrorSchema),
});
export type Chute = z.infer<typeof chuteSchema>;

export const versionSchema = z.looseObject({ version: text, created_at: time, current: z.nullish(z.boolean()) });
export type Version = z.infer<typeof versionSchema>;

export const logLineSchema = z.looseObject({
  instance_id: text,
  seq: z.number(),
  at: z.union([z.string(), z.number()]),
  source: text,
  text,
});
export type LogLine = z.infer<typeof logLineSchema>;

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
