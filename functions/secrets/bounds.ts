/** How much may be attached to a chute. */
import { LIMITS } from '#protocol';

/** Bytes of an encapsulated X25519 key and of an AES-GCM tag; bytes of secrets that are none, as JSON. */
const ENCAPSULATED = 32;
const TAG = 16;
const EMPTY = '{"env":{},"registries":[]}'.length;

export const SECRET_BOUNDS = {
  /** Variables, and registries, of one chute. */
  env: 64,
  registry: 8,
  /** Secrets of one account: names can be invented, each with its own. */
  account: 4096,
  /** Bytes of one value. */
  valueBytes: 32 * 1024,
  /** Bytes of all secrets of a chute as a grant carries them: sealed, in base64, they are `LIMITS.sealedChars` then. */
  grantBytes: Math.floor((LIMITS.sealedChars / 4) * 3) - ENCAPSULATED - TAG - EMPTY,
} as const;

export const SHARE_BOUNDS = {
  /** Accounts one chute is shared with: every snapshot carries them. */
  shares: 100,
} as const;
