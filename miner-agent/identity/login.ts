/** The two steps of `protocol/hello.ts` from the agent's side: get a challenge, then sign it for the origin we dialled. */
import { SERVING_HEADER, challengeReplySchema, LIMITS, loginSchema, loginText, PROTOCOL_VERSIONS, SESSION_MARGIN_MS } from '#protocol';
import type { ChallengeReply, Login } from '#protocol';
import { Outbound, type Answer } from '../net/outbound.ts';
import type { Hotkey } from './hotkey.ts';
import type { SessionKeys } from './session.ts';

/** The edge was reached and said no. `final`: trying again cannot help. */
export class LoginRefused extends Error {
  override readonly name = 'LoginRefused';
  readonly final: boolean;
  /** The edge's own word for it; empty: what answered is no edge. */
  readonly code: string;
  /** Milliseconds the edge asks to wait, if it said. */
  readonly retryAfterMs: number | null;
  constructor(message: string, final: boolean, retryAfterMs: number | null = null, code = '') {
    super(message);
    this.final = final;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

const REPLY_BYTES = 16 * 1024;

/** Milliseconds by which this clock may differ and the edge is still told its time. */
const SHOWN_MS = 60_000;

/** This clock as far as the edge lets an agent in with it: far enough off that the edge sees it is wrong. */
function near(now: number, edge: number): number {
  return Math.min(Math.max(now, edge - SHOWN_MS), edge + SHOWN_MS);
}

export interface LoginMore {
  outbound?: Outbound;
  signal?: AbortSignal;
  /** Instances or streams run here. */
  serving?: boolean;
  /** Protocol versions to offer; without it all that this code speaks. */
  versions?: readonly number[];
}

/** The value of `LOGIN_HEADER` for one connection. `now`: unix milliseconds. Throws `LoginRefused`, or what `Outbound.ask` throws. */
export async function login(
  api: string,
  hotkey: Hotkey,
  name: string,
  keys: SessionKeys,
  now: number,
  { outbound = new Outbound(), signal, serving = false, versions = PROTOCOL_VERSIONS }: LoginMore = {},
): Promise<string> {
  const reply = await askChallenge({ api, hotkey: hotkey.ss58, name, outbound, serving, ...(signal === undefined ? {} : { signal }) });
  const origin = new URL(api).origin;
  if (reply.origin !== origin)
    throw new LoginRefused(`the edge at ${origin} says it is ${reply.origin}; not signing for another origin`, true);
  const signed = {
    agent: reply.agent,
    challenge: reply.challenge,
    origin,
    sessionKey: keys.sessionKey,
    sealKey: keys.sealKey,
    expires: near(now, reply.now ?? now) + LIMITS.sessionMs - SESSION_MARGIN_MS,
    versions: [...versions].sort((a, b) => b - a),
  };
  const full: Login = { ...signed, hotkey: hotkey.ss58, name, signature: hotkey.sign(loginText(signed)) };
  return Buffer.from(JSON.stringify(full)).toString('base64url');
}

/** The agent's id, as its login names it. */
export function agentOf(header: string): string {
  return loginSchema.parse(JSON.parse(Buffer.from(header, 'base64url').toString())).agent;
}

interface ChallengeAsk {
  api: string;
  hotkey: string;
  name: string;
  outbound: Outbound;
  serving?: boolean;
  signal?: AbortSignal;
}

/** Touches nothing at the edge: a challenge is a word of the edge's about a moment. Throws as `login` does. */
export async function askChallenge({ api, hotkey, name, outbound, serving = false, signal }: ChallengeAsk): Promise<ChallengeReply> {
  const answer = await outbound.ask(new URL(`${api}/agents/challenge`), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(serving ? { [SERVING_HEADER]: '1' } : {}) },
    body: JSON.stringify({ hotkey, name }),
    timeoutMs: 10_000,
    maxBytes: REPLY_BYTES,
    ...(signal === undefined ? {} : { signal }),
  });
  if (!answer.ok) throw refusedBy(answer, 'the login');
  const parsed = challengeReplySchema.safeParse(json(answer.text));
  if (!parsed.success) throw new LoginRefused('the edge answered the challenge request with something else', false);
  return parsed.data;
}

/** What a refusal of the edge means for an agent. Only 426 ends an upgrade for good: the other causes were met before it. */
export function refusedBy(
  { status, text, headers }: Pick<Answer, 'status' | 'text' | 'headers'>,
  what: 'the login' | 'the connection',
): LoginRefused {
  const body = json(text);
  const field = (name: string) =>
    typeof body === 'object' && body !== null && name in body ? printable(String(body[name as keyof typeof body])) : null;
  const detail = field('detail') ?? `status ${status}`;
  const retryAfter = Number(headers['retry-after'] ?? Number.NaN);
  const final = what === 'the connection' ? status === 426 : status >= 400 && status < 500 && status !== 429 && status !== 408;
  return new LoginRefused(
    `the edge refused ${what}: ${detail}`,
    final,
    Number.isFinite(retryAfter) ? retryAfter * 1000 : null,
    field('code') ?? '',
  );
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Text of the edge is shown on a terminal; it must not move the cursor. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, ' ').slice(0, 200);
}
