/** What a Worker asks an Account object of a request with an Idempotency-Key, and what it gets. Both readable by two deploys. */
import type { Call } from '../../calls/call.ts';
import type { CallId, KeyClaim } from '../../calls/ports.ts';
import type { ErrorCode, ErrorDetail } from '../../errors.ts';

interface Keyed {
  /** MACs, see `seal.ts`. */
  name: string;
  print: string;
  /** 32 bytes that seal and open the answer; in memory only. */
  key: Uint8Array;
}

/** A call that the object conducts. */
export interface ReplayCall extends Keyed {
  call: Omit<Call, 'signal' | 'crowd' | 'body'> & { body: Uint8Array | null };
}

/** Another request, which the Worker answers. */
export interface ReplayRequest extends Keyed {
  /** Id of the request. */
  call: CallId;
  /** Null: a hotkey signed it, which the Worker has checked. */
  claim: KeyClaim | null;
  /** Of its body. */
  bytes: number;
}

export interface Refused {
  kind: 'refused';
  code: ErrorCode;
  detail: ErrorDetail;
  /** The call that first had the Idempotency-Key, where that is told. */
  call?: CallId;
}

/** `Source`: bytes of head and body, see `head.ts`. `call` is another one's than asked where the answer is. */
export type Answered<Source> = { kind: 'answer'; call: CallId; answer: Source } | Refused;

/** How an answer reaches a Worker. */
export interface Streamed {
  bytes: ReadableStream<Uint8Array>;
  /** Disposed of: the client left. */
  seat: Disposable;
}

/** `yours`: the Worker is to answer it, and to tell. `unkept`: there is no account to keep it for. */
export type Unanswered = { kind: 'yours' } | { kind: 'unkept' };

/** What a Worker answered to a request. */
export interface ToldAnswer {
  name: string;
  call: CallId;
  key: Uint8Array;
  /** Head and body. */
  answer: Uint8Array;
  /** False: a refusal, after which the key may be tried again. */
  keep: boolean;
}
