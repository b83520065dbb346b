/**
 * Identity in two steps, so that nothing stateful is touched before a signature is checked.
 *
 * 1. `POST /agents/challenge {hotkey, name}` → `{agent, challenge, origin, …}`. The challenge is stateless: time, random
 *    bytes and a MAC of the edge over them, the hotkey and the agent. Good for `LIMITS.challengeMs`, once.
 * 2. `GET /agents/connect` as a WebSocket upgrade with the header `X-Ripcord-Login`: base64url JSON `Login`. The hotkey
 *    (sr25519) signs `loginText`. From then on the session key (Ed25519) signs receipts and commits.
 */
import * as z from 'zod/mini';

const hex32 = z.string().check(z.regex(/^[0-9a-f]{64}$/));

export const challengeRequestSchema = z.strictObject({
  hotkey: z.string().check(z.minLength(40), z.maxLength(60)),
  /** The machine, within the hotkey: `[a-z0-9-]`, 1 to 40. Hotkey and name together are one agent for ever. */
  name: z.string().check(z.regex(/^[a-z0-9-]{1,40}$/)),
});
export type ChallengeRequest = z.infer<typeof challengeRequestSchema>;

export const challengeReplySchema = z.object({
  agent: z.string().check(z.maxLength(64)),
  challenge: z.string().check(z.maxLength(256)),
  origin: z.string().check(z.maxLength(256)),
  /** The edge's clock (unix ms), the protocol versions it speaks, newest first, and the newest agent there is. */
  now: z.optional(z.number().check(z.int(), z.nonnegative())),
  versions: z.optional(z.array(z.number().check(z.int(), z.positive())).check(z.maxLength(8))),
  newest: z.optional(z.string().check(z.maxLength(32))),
});
export type ChallengeReply = z.infer<typeof challengeReplySchema>;

export const loginSchema = z.strictObject({
  hotkey: z.string().check(z.minLength(40), z.maxLength(60)),
  name: z.string().check(z.regex(/^[a-z0-9-]{1,40}$/)),
  agent: z.string().check(z.maxLength(64)),
  challenge: z.string().check(z.maxLength(256)),
  /** The origin the agent believes it dialled; must be the edge's own. */
  origin: z.string().check(z.maxLength(256)),
  /** Ed25519 and X25519 public keys of this session, hex. */
  sessionKey: hex32,
  sealKey: hex32,
  /** Unix milliseconds; at most `LIMITS.sessionMs` ahead. */
  expires: z.number().check(z.int(), z.positive()),
  /** Protocol versions the agent speaks, newest first. */
  versions: z.array(z.number().check(z.int(), z.positive())).check(z.minLength(1), z.maxLength(8)),
  /** sr25519 over `loginText`, hex. */
  signature: z.string().check(z.regex(/^(0x)?[0-9a-f]{128}$/)),
});
export type Login = z.infer<typeof loginSchema>;

/** Milliseconds of `LIMITS.sessionMs` that an agent leaves unused, for clocks that differ; by it the edge sees how far they do. */
export const SESSION_MARGIN_MS = 60_000;

/** Of a challenge request, `1`: the agent runs instances or streams. A restart of everything lets those in first. */
export const SERVING_HEADER = 'x-ripcord-serving';
export const LOGIN_HEADER = 'x-ripcord-login';
/** On the upgrade reply: the protocol version the edge chose. */
export const VERSION_HEADER = 'x-ripcord-protocol';

/** The text a login's hotkey signature covers. */
export function loginText(l: Omit<Login, 'signature' | 'hotkey' | 'name'>): string {
  return ['ripcord-agent-session/1', l.origin, l.challenge, l.agent, l.sessionKey, l.sealKey, l.expires, l.versions.join(',')].join('\n');
}

/** Keepalive pair, answered by the platform without waking the object. */
export const KEEPALIVE = { ping: 'ping', pong: 'pong' } as const;

/** The text a hotkey-signed HTTP request covers; `signedHeaders` carry the rest. Body hash is over the raw bytes. */
export function requestText(r: {
  origin: string;
  method: string;
  target: string;
  bodySha256: string;
  timestampMs: number;
  nonce: string;
}): string {
  return ['v1', r.origin, r.method, r.target, r.bodySha256, String(r.timestampMs), r.nonce].join('\n');
}

export const SIGNED_HEADERS = {
  hotkey: 'x-ripcord-hotkey',
  /** Unix milliseconds, within 30 s of the edge's clock. */
  timestamp: 'x-ripcord-timestamp',
  /** 16 random bytes, hex; good once. */
  nonce: 'x-ripcord-nonce',
  /** sr25519 over `requestText`, hex. */
  signature: 'x-ripcord-signature',
} as const;
