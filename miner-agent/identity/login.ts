/** The two steps of `protocol/hello.ts` from the agent's side: get a challenge, then sign it for the origin we dialled. */
import { challengeReplySchema, LIMITS, loginText, PROTOCOL_VERSIONS } from '#protocol';
import type { Login } from '#protocol';
import type { Hotkey } from './hotkey.ts';
import type { SessionKeys } from './session.ts';

/** The edge was reached and said no. `final`: trying again cannot help. */
export class LoginRefused extends Error {
  override readonly name = 'LoginRefused';
  readonly final: boolean;
  /** Milliseconds the edge asks to wait, if it said. */
  readonly retryAfterMs: number | null;
  constructor(message: string, final: boolean, retryAfterMs: number | null = null) {
    super(message);
    this.final = final;
    this.retryAfterMs = retryAfterMs;
  }
}

const REPLY_BYTES = 16 * 1024;

/** The value of `LOGIN_HEADER` for one connection. Throws `LoginRefused`, or whatever `fetch` throws. */
export async function login(
  api: string,
  hotkey: Hotkey,
  name: string,
  keys: SessionKeys,
  now: number,
  signal: AbortSignal = new AbortController().signal,
): Promise<string> {
  const reply = await askChallenge(api, hotkey.ss58, name, signal);
  const origin = new URL(api).origin;
  if (reply.origin !== origin)
    throw new LoginRefused(`the edge at ${origin} says it is ${reply.origin}; not signing for another origin`, true);
  const signed = {
    agent: reply.agent,
    challenge: reply.challenge,
    origin,
    sessionKey: keys.sessionKey,
    sealKey: keys.sealKey,
    // A minute inside the limit, for clocks that differ.
    expires: now + LIMITS.sessionMs - 60_000,
    versions: [...PROTOCOL_VERSIONS].sort((a, b) => b - a),
  };
  const full: Login = { ...signed, hotkey: hotkey.ss58, name, signature: hotkey.sign(loginText(signed)) };
  return Buffer.from(JSON.stringify(full)).toString('base64url');
}

async function askChallenge(api: string, hotkey: string, name: string, signal: AbortSignal) {
  const response = await fetch(`${api}/agents/challenge`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ hotkey, name }),
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
  });
  const text = await boundedText(response);
  if (!response.ok) throw refusal(response, text);
  const parsed = challengeReplySchema.safeParse(json(text));
  if (!parsed.success) throw new LoginRefused('the edge answered the challenge request with something else', false);
  return parsed.data;
}

function refusal(response: Response, text: string): LoginRefused {
  const body = json(text);
  const detail =
    typeof body === 'object' && body !== null && 'detail' in body ? printable(String(body.detail)) : `status ${response.status}`;
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  const final = response.status >= 400 && response.status < 500 && response.status !== 429 && response.status !== 408;
  return new LoginRefused(`the edge refused the login: ${detail}`, final, Number.isFinite(retryAfter) ? retryAfter * 1000 : null);
}

async function boundedText(response: Response): Promise<string> {
  if (response.body === null) return '';
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > REPLY_BYTES) throw new LoginRefused('the edge answered the challenge request with too much', false);
  }
  return text;
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
