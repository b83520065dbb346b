/** What a call is charged by must be read before it runs, or nobody pays for it. Pure. */
import { INFERENCE, LIMITS, type ChuteConfig } from '#protocol';
import { RipcordError } from '../errors.ts';
import { countsTokens, countsUnits } from '../prices/facts.ts';
import type { Terms } from '../prices/terms.ts';
import type { Call } from './call.ts';

/** Methods by which no engine makes tokens. */
const LOOKS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Why the call cannot be charged for by these terms; null: it can. */
export function unreadOf(
  { method, path, body, unread }: Pick<Call, 'method' | 'path' | 'body' | 'unread'>,
  { template, cords }: Pick<ChuteConfig, 'template' | 'cords'>,
  terms: Terms,
): RipcordError | null {
  const streamed = body instanceof ReadableStream;
  if (streamed && countsUnits(terms)) return streamedBody('images or steps');
  if (template !== 'openai' || !countsTokens(terms) || LOOKS.has(method)) return null;
  if (unread !== undefined) return new RipcordError('invalid_request', unread);
  const counted = INFERENCE.has(path.split('?', 1)[0] ?? path);
  if (streamed && counted) return streamedBody('tokens');
  // An engine may have more routes than those whose replies are counted; who lists them gives them away.
  return counted || cords.length > 0 ? null : new RipcordError('cord_not_found');
}

function streamedBody(by: string): RipcordError {
  return new RipcordError('invalid_request', {
    message: `This chute is paid by ${by}, which are read from the request: it may not be streamed.`,
    hint: `Send it with a Content-Length, and at most ${LIMITS.bufferedBodyBytes} bytes.`,
  });
}
