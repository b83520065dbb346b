/** Headers of one hop stay on that hop; the rest must fit the wire. Pure. */
import { LIMITS, encodeJson, headSchema } from '#protocol';
import type { Head } from '#protocol';

const HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** On a request also: who is asked is decided here, and a reply must not come compressed or in two steps. */
const NOT_ASKED = new Set(['host', 'accept-encoding', 'expect']);

/** The head of a reply as the edge takes it, or null if it is larger than the wire allows. */
export function replyHead(status: number, headers: readonly [string, string][]): Head | null {
  const parsed = headSchema.safeParse({ status, headers: endToEnd(headers) });
  if (!parsed.success || encodeJson(parsed.data).byteLength > LIMITS.headBytes) return null;
  return parsed.data;
}

/** Request headers as the engine gets them, flat: name, value, name, value. */
export function engineHeaders(headers: readonly [string, string][], host: string): string[] {
  const kept = endToEnd(headers).filter(([name]) => !NOT_ASKED.has(name.toLowerCase()));
  return ['host', host, ...kept.flat()];
}

function endToEnd(headers: readonly [string, string][]): [string, string][] {
  const named = new Set<string>();
  for (const [name, value] of headers) {
    if (name.toLowerCase() !== 'connection') continue;
    for (const option of value.split(',')) named.add(option.trim().toLowerCase());
  }
  return headers.filter(([name]) => !HOP.has(name.toLowerCase()) && !named.has(name.toLowerCase()));
}
