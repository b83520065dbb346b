/** An answer of the service that is no success, as a `Failure`: code, cause, hint. */
import { ERRORS, type ErrorCode } from '../functions/errors.ts';
import { openAiErrorSchema, problemSchema } from './answers.ts';
import { EXIT, Failure } from './failure.ts';
import { readBounded } from './reply.ts';

/** Bytes of an error document that are read. */
const MAX_PROBLEM = 256 * 1024;

/** What to do about codes whose answer brought no hint. */
const HINTS: Record<string, string> = {
  invalid_api_key: 'Set RIPCORD_API_KEY, or run ripcord register to get a key.',
  key_expired: 'ripcord keys create makes a new one.',
  insufficient_scope: 'ripcord keys create --scopes … makes a key that may.',
  insufficient_credit: 'ripcord balance shows what there is; ripcord topup 20 adds to it by card.',
  key_cap_reached: 'ripcord keys list shows the caps; ripcord keys cap raises one, by a key without a cap.',
  invalid_signature: 'Is the clock of this machine right, and the address of the API the one it calls itself?',
  chute_not_found: 'ripcord chutes list shows what there is.',
  name_taken: 'Choose another name, or use the hotkey that holds this one.',
};

export async function refusalOf(reply: Response, origin: string): Promise<Failure> {
  const text = await readBounded(
    reply,
    () => new Failure(EXIT.unreachable, 'unreachable', `${origin} broke the connection.`),
    MAX_PROBLEM,
  ).catch(() => '');
  return refusalFrom(reply, text) ?? plainRefusal(reply, origin);
}

/** The refusal in a document of the service; null if the text is none. */
export function refusalFrom(reply: Pick<Response, 'status' | 'headers'>, text: string): Failure | null {
  const body = parse(text);
  const problem = problemSchema.safeParse(body);
  if (problem.success) {
    const { code, detail, title, hint, request_id } = problem.data;
    return refused(reply, code, detail ?? title ?? code, hint ?? null, request_id ?? null);
  }
  const openAi = openAiErrorSchema.safeParse(body);
  if (!openAi.success) return null;
  const { code, message, request_id } = openAi.data.error;
  return refused(reply, code ?? 'refused', message, null, request_id ?? null);
}

/** What a status without a document means (the answer to HEAD has none). */
const BY_STATUS: Record<number, ErrorCode> = { 401: 'invalid_api_key', 403: 'insufficient_scope', 429: 'rate_limited', 503: 'unavailable' };

function plainRefusal(reply: Response, origin: string): Failure {
  const code = BY_STATUS[reply.status];
  if (code !== undefined) return refused(reply, code, ERRORS[code][1], null, null);
  const moved = reply.status >= 300 && reply.status < 400;
  const hint = moved ? 'It redirects; give the address it redirects to by --api.' : 'Is this the address of a Ripcord API?';
  return new Failure(EXIT.refused, 'refused', `${origin} answered ${reply.status} without a reason.`, {
    hint,
    extra: { status: reply.status },
  });
}

function refused(
  reply: Pick<Response, 'status' | 'headers'>,
  code: string,
  message: string,
  hint: string | null,
  requestId: string | null,
): Failure {
  const wait = reply.headers.get('retry-after');
  const next = [hint ?? HINTS[code] ?? '', wait === null ? '' : `Try again in ${wait} s.`].filter((part) => part !== '').join(' ');
  const extra = { status: reply.status, ...(requestId === null ? {} : { request_id: requestId }) };
  return new Failure(EXIT.refused, code, message, { ...(next === '' ? {} : { hint: next }), extra });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
