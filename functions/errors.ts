/**
 * Everything that can go wrong as a client sees it: one list of codes, and the one place that turns an error into an
 * answer. `/v1` speaks OpenAI's error shape, every other route RFC 9457 problem documents.
 */
import type { RateState } from './calls/ports.ts';
import { rateHeaders } from './calls/rate.ts';

/** code → HTTP status and the sentence that is the cause. */
export const ERRORS = {
  invalid_request: [400, 'The request is not valid.'],
  invalid_config: [400, 'The chute config is not valid.'],
  invalid_signature: [401, 'The signature is missing or wrong.'],
  invalid_api_key: [401, 'The API key is missing or wrong.'],
  key_expired: [401, 'The API key has expired.'],
  insufficient_credit: [402, 'The account has not enough credit for this call.'],
  key_cap_reached: [402, 'The cap of the API key leaves not enough for this call.'],
  hotkey_refused: [403, 'This network does not take this hotkey.'],
  hotkey_not_registered: [403, 'This hotkey is not registered on the subnet.'],
  insufficient_scope: [403, 'The API key may not do this.'],
  not_found: [404, 'There is nothing here.'],
  model_not_found: [404, 'There is no such model, or the key may not use it.'],
  cord_not_found: [404, 'The chute has no such route.'],
  chute_not_found: [404, 'There is no such chute, or the key may not see it.'],
  call_not_found: [404, 'There is no such call of this account.'],
  method_not_allowed: [405, 'The route does not take this method.'],
  name_taken: [409, 'The name is taken.'],
  version_conflict: [409, 'The chute changed meanwhile.'],
  idempotency_key_reused: [422, 'The Idempotency-Key was used with another request.'],
  idempotent_replay_too_large: [409, 'The answer to this Idempotency-Key was too large to keep.'],
  duplicate_call: [409, 'A call with this id was already opened.'],
  no_payout_address: [409, 'This hotkey has no payout address in force.'],
  not_payable: [409, 'This amount cannot be paid out.'],
  payout_open: [409, 'A payout of this hotkey is under way.'],
  already_committed: [409, 'This judge has committed to something else for this epoch.'],
  nonce_used: [409, 'This signed request was already used.'],
  body_too_large: [413, 'The body is too large.'],
  unsupported_media_type: [415, 'The route does not take this content type.'],
  rate_limited: [429, 'Too many requests.'],
  version_unsupported: [426, 'The edge and the agent have no protocol version in common.'],
  too_many_calls: [429, 'Too many calls of this account are running.'],
  no_capacity: [429, 'No instance can take this call now.'],
  queue_full: [429, 'The queue of this chute is full.'],
  start_failing: [503, 'The program of this chute does not start.'],
  queue_timeout: [503, 'No instance became free in time.'],
  engine_error: [502, 'The instance broke its reply.'],
  engine_unreachable: [502, 'The program of the instance does not answer.'],
  miner_lost: [502, 'The miner was lost and no other could go on.'],
  outcome_unknown: [502, 'The instance was lost after it got the request; this route does not say that sending it again is safe.'],
  timeout: [504, 'The call took longer than its limit.'],
  cancelled: [499, 'The client left.'],
  unavailable: [503, 'A part of the service does not answer.'],
  internal: [500, 'Something went wrong here.'],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetail {
  /** What exactly, in one line; never a prompt, a secret or an upstream's text. */
  message?: string;
  /** What to do next. */
  hint?: string;
  /** The field at fault. */
  param?: string;
  retryAfterMs?: number | undefined;
  /** Of the key that asked. */
  rate?: RateState | undefined;
  /** Of a 402, in nano-USD: what is required, and what there is of it. */
  required?: bigint | undefined;
  available?: bigint | undefined;
  /** Unix milliseconds when a cap starts anew. */
  resetAt?: number | undefined;
  topUpUrl?: string | undefined;
  /** It is what the first request with the same Idempotency-Key came to. */
  replayed?: boolean;
}

/** A failure with a stable code. Anything else that is thrown becomes `internal` and tells the client nothing. */
export class RipcordError extends Error {
  override readonly name = 'RipcordError';
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;
  constructor(code: ErrorCode, detail: ErrorDetail = {}) {
    super(detail.message ?? ERRORS[code][1]);
    this.code = code;
    this.detail = detail;
  }
  get status(): number {
    return ERRORS[this.code][0];
  }
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** The answer to a failed request. `shape` is chosen by the route family. */
export function errorResponse(error: unknown, shape: 'openai' | 'problem', requestId: string): Response {
  const known = error instanceof RipcordError ? error : new RipcordError('internal');
  const headers = new Headers({
    'content-type': shape === 'openai' ? 'application/json' : 'application/problem+json',
    'x-request-id': requestId,
    // Set by the edge alone: the allow-list of reply headers keeps an engine from sending it.
    'x-ripcord-error': known.code,
    'cache-control': 'no-store',
  });
  for (const [name, value] of rateHeaders(known.detail.rate)) headers.set(name, value);
  if (known.detail.replayed === true) headers.set('idempotent-replayed', 'true');
  if (known.detail.retryAfterMs !== undefined) headers.set('retry-after', String(Math.max(1, Math.ceil(known.detail.retryAfterMs / 1000))));
  const body = shape === 'openai' ? { error: openAiError(known, requestId) } : problem(known, requestId);
  return new Response(JSON.stringify(body), { status: known.status, headers });
}

/** OpenAI's error object; also the payload of a typed error event inside a stream. */
export function openAiError(error: RipcordError, requestId: string) {
  return {
    message: withHint(error),
    type: openAiType(error.status),
    param: error.detail.param ?? null,
    code: error.code,
    ...moneyOf(error),
    request_id: requestId,
  };
}

function openAiType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 402) return 'insufficient_quota';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

function moneyOf({ detail: { required, available, resetAt, topUpUrl } }: RipcordError) {
  return {
    ...(required === undefined ? {} : { required_nanousd: required.toString() }),
    ...(available === undefined ? {} : { available_nanousd: available.toString() }),
    ...(resetAt === undefined ? {} : { resets_at: new Date(resetAt).toISOString() }),
    ...(topUpUrl === undefined ? {} : { top_up_url: topUpUrl }),
  };
}

function problem(error: RipcordError, requestId: string) {
  return {
    type: `urn:ripcord:error:${error.code}`,
    title: ERRORS[error.code][1],
    status: error.status,
    code: error.code,
    detail: error.message,
    ...(error.detail.hint === undefined ? {} : { hint: error.detail.hint }),
    ...(error.detail.param === undefined ? {} : { param: error.detail.param }),
    ...moneyOf(error),
    request_id: requestId,
  };
}

function withHint(error: RipcordError): string {
  return error.detail.hint === undefined ? error.message : `${error.message} ${error.detail.hint}`;
}
