/** The JSON inside OPEN, HEAD, END and RESET frames. */
import * as z from 'zod/mini';
import { LIMITS } from './limits.ts';
import { ProtocolError } from './frames.ts';

const header = z.tuple([
  z.string().check(z.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/)),
  z.string().check(z.regex(/^[\t\x20-\x7e\x80-\uffff]{0,8192}$/)),
]);
export const headersSchema = z.array(header).check(z.maxLength(LIMITS.headers));

/** `call/k`: the k-th attempt of a call (a UUID). */
export const attemptSchema = z.string().check(z.regex(/^[0-9a-f-]{36}\/[0-9]{1,2}$/));

/** Edge to agent: serve this call on this instance. The request body follows as DATA, then END. */
export const openCallSchema = z.object({
  attempt: attemptSchema,
  instance: z.string().check(z.maxLength(64)),
  method: z.string().check(z.regex(/^[A-Z]{1,16}$/)),
  /** Path with query, as the engine gets it. */
  path: z.string().check(z.maxLength(8192)),
  headers: headersSchema,
  /** Milliseconds from now until the attempt is lost, whatever it does. */
  deadlineMs: z.number().check(z.int(), z.positive()),
});
export type OpenCall = z.infer<typeof openCallSchema>;

/** Agent to edge: send me this blob from an offset; the edge answers HEAD, DATA and END. */
export const openBlobSchema = z.object({
  blob: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  /** The instance whose grant names the blob; nothing else may be fetched. */
  instance: z.string().check(z.maxLength(64)),
  offset: z.number().check(z.int(), z.nonnegative()),
});
export type OpenBlob = z.infer<typeof openBlobSchema>;

export const headSchema = z.object({
  status: z.number().check(z.int(), z.gte(200), z.lte(599)),
  headers: headersSchema,
});
export type Head = z.infer<typeof headSchema>;

/** Why a stream ended early. `message` is for people and never holds a prompt, an answer or a secret. */
export const resetSchema = z.object({
  code: z.enum([
    /** Nobody waits for this any more. */
    'cancelled',
    /** No free slot on the instance; not an attempt. */
    'busy',
    /** The agent does not run this instance (any more); not an attempt. */
    'stale',
    /** The engine refused the connection or broke it before a reply. */
    'engine_unreachable',
    /** The engine broke its reply, or the reply is not what HTTP allows. */
    'engine_error',
    /** The deadline or an idle limit passed. */
    'timeout',
    /** The bytes asked for are no longer kept. */
    'gap',
    /** A peer broke the rules of this stream. */
    'protocol',
    /** The blob is unknown or not granted. */
    'not_found',
  ]),
  message: z.optional(z.string().check(z.maxLength(512))),
});
export type Reset = z.infer<typeof resetSchema>;
export type ResetCode = Reset['code'];

/**
 * What an agent signs about one attempt (Ed25519, session key, over `receiptText`). Tokens are the engine's claim; the
 * edge bounds it by what it delivered itself.
 */
export const receiptSchema = z.object({
  attempt: attemptSchema,
  /** Bytes of the reply body as the engine sent it. */
  bytes: z.number().check(z.int(), z.nonnegative()),
  /** SHA-256 of these bytes, hex. */
  sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  tokensIn: z.nullable(z.number().check(z.int(), z.nonnegative())),
  tokensOut: z.nullable(z.number().check(z.int(), z.nonnegative())),
  /** Milliseconds from OPEN to the first and to the last byte, by the agent's clock. */
  firstByteMs: z.number().check(z.int(), z.nonnegative()),
  lastByteMs: z.number().check(z.int(), z.nonnegative()),
  /** Ed25519 over `receiptText`, base64url. */
  signature: z.string().check(z.maxLength(128)),
});
export type Receipt = z.infer<typeof receiptSchema>;

/** The text a receipt's signature covers. */
export function receiptText(r: Omit<Receipt, 'signature'>): string {
  return ['ripcord-receipt/1', r.attempt, r.bytes, r.sha256, r.tokensIn ?? '-', r.tokensOut ?? '-', r.firstByteMs, r.lastByteMs].join('\n');
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** Parses a frame's JSON by a schema; `ProtocolError` says which frame was wrong, never what it held. */
export function decodeJson<T>(schema: z.ZodMiniType<T>, payload: Uint8Array, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(payload));
  } catch {
    throw new ProtocolError('malformed', `${what} is not JSON`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new ProtocolError('malformed', `${what}: ${firstIssue(parsed.error)}`);
  return parsed.data;
}

/** Where the first problem is, and what; enough to mend it, nothing of the value. */
export function firstIssue(error: z.core.$ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'invalid';
  return `${issue.path.join('.') || 'value'}: ${issue.message}`;
}
