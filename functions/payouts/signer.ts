/**
 * The signer: a program outside the edge that holds the key payouts are made from. Asked again with the same id it gives
 * the very same extrinsic. Its contract is in `docs/payouts.md`.
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import * as z from 'zod/mini';
import { readText } from '../read-text.ts';
import type { Signed } from './step.ts';

export interface SignerEnv {
  /** `POST {PAYOUT_SIGNER_URL}/sign`. Absent: payouts in TAO wait. */
  PAYOUT_SIGNER_URL?: string;
  PAYOUT_SIGNER_TOKEN?: string;
}

/** Milliseconds the signer has. */
const SIGN_MS = 15_000;
/** Bytes: a signed transfer has a few hundred. */
const REPLY_BYTES = 64 * 1024;

const bytesSchema = z.string().check(z.regex(/^0x([0-9a-f]{2})+$/), z.maxLength(4_096));
const signedSchema = z.object({
  extrinsic: bytesSchema,
  hash: z.string().check(z.regex(/^0x[0-9a-f]{64}$/)),
  birth: z.int().check(z.gte(0)),
  death: z.int().check(z.gt(0)),
});

/** The signer gave no signature; the message says why and holds nothing of the request. */
export class SignerError extends Error {
  override readonly name = 'SignerError';
  /** It did not answer at all: it will not answer for another payout either. */
  readonly away: boolean;
  constructor(message: string, away = false) {
    super(message);
    this.away = away;
  }
}

/** Throws `SignerError`. */
export async function askSigner(env: SignerEnv, ask: { id: string; to: string; rao: bigint }): Promise<Signed> {
  if (env.PAYOUT_SIGNER_URL === undefined) throw new SignerError('no signer is configured');
  const parsed = z.safeParse(signedSchema, await post(env.PAYOUT_SIGNER_URL, env.PAYOUT_SIGNER_TOKEN ?? '', ask));
  if (!parsed.success) throw new SignerError('the signer answered no signed extrinsic');
  const { extrinsic, hash, birth, death } = parsed.data;
  return { extrinsic: hexToBytes(extrinsic.slice(2)), hash: hexToBytes(hash.slice(2)), birth, death };
}

async function post(origin: string, token: string, { id, to, rao }: { id: string; to: string; rao: bigint }): Promise<unknown> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), SIGN_MS);
  try {
    const reply = await fetch(`${origin}/sign`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ id, to, rao: String(rao) }),
      // The bearer goes to the signer and nowhere else.
      redirect: 'manual',
      signal: controller.signal,
    });
    if (!reply.ok) throw new SignerError(`the signer answered ${reply.status}`);
    const text = await readText(reply, REPLY_BYTES);
    return text === null ? null : JSON.parse(text);
  } catch (error) {
    throw error instanceof SignerError ? error : new SignerError('the signer does not answer', true);
  } finally {
    clearTimeout(timer);
  }
}
