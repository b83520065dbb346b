/**
 * The schemas of the wire, pinned beside its version. When one of these hashes changes, either the change is additive and
 * both sides read both forms, or `PROTOCOL_VERSIONS` gets a new first entry and the old one stays served. Then pin anew.
 */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import {
  PROTOCOL_VERSIONS,
  challengeReplySchema,
  challengeRequestSchema,
  chooseVersion,
  chuteConfigSchema,
  downSchema,
  headSchema,
  loginSchema,
  loginText,
  openBlobSchema,
  openCallSchema,
  receiptSchema,
  requestText,
  resetSchema,
  upSchema,
  versionSpecSchema,
} from '#protocol';

/** Of protocol version 2. */
const PINNED = {
  challengeReply: 'aab377aaabbec03a',
  challengeRequest: 'c0f03c3302fe7622',
  chuteConfig: '751b12bad9336910',
  down: '3b1654257c6e9130',
  head: '85820f693ee758f1',
  login: '73660ddd9480fd23',
  openBlob: '2f4dba4b452327da',
  openCall: '3dc0639cf1777b1d',
  receipt: '82efd563b2b3ab59',
  reset: 'a227db92b8db1799',
  up: 'ad610eba10270fda',
  versionSpec: '2045ecc6eddd9b04',
};

const SCHEMAS: Record<keyof typeof PINNED, z.ZodMiniType> = {
  challengeReply: challengeReplySchema,
  challengeRequest: challengeRequestSchema,
  chuteConfig: chuteConfigSchema,
  down: downSchema,
  head: headSchema,
  login: loginSchema,
  openBlob: openBlobSchema,
  openCall: openCallSchema,
  receipt: receiptSchema,
  reset: resetSchema,
  up: upSchema,
  versionSpec: versionSpecSchema,
};

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, part]) => `${JSON.stringify(key)}:${canonical(part)}`).join(',')}}`;
}

function hashOf(schema: z.ZodMiniType): string {
  // What a peer may send, not what it becomes: defaults are part of it.
  const json = z.toJSONSchema(schema, { io: 'input', reused: 'inline' });
  return createHash('sha256').update(canonical(json)).digest('hex').slice(0, 16);
}

test('the schemas are those of the pinned version', () => {
  expect(PROTOCOL_VERSIONS[0]).toBe(2);
  expect(Object.fromEntries(Object.entries(SCHEMAS).map(([name, schema]) => [name, hashOf(schema)]))).toEqual(PINNED);
});

test('the oldest version served', () => {
  expect(PROTOCOL_VERSIONS.at(-1)).toBe(1);
  expect(PROTOCOL_VERSIONS).toEqual([...PROTOCOL_VERSIONS].toSorted((a, b) => b - a));
});

test.each([
  ['the newest of both', [3, 2, 1], [4, 3, 1], 3],
  ['in any order', [1, 3], [1, 3], 3],
  ['none in common', [9], [1], null],
  ['nothing offered', [], [1], null],
])('chooseVersion: %s', (_, offered, served, chosen) => {
  expect(chooseVersion(offered, served)).toBe(chosen);
});

test('the texts under the hotkey signatures', () => {
  const login = { origin: 'https://edge', challenge: 'c', agent: 'agt_1', sessionKey: 'aa', sealKey: 'bb', expires: 5, versions: [2, 1] };
  expect(loginText(login)).toBe('ripcord-agent-session/1\nhttps://edge\nc\nagt_1\naa\nbb\n5\n2,1');
  const request = { origin: 'https://edge', method: 'PUT', target: '/a?b=c', bodySha256: 'dd', timestampMs: 6, nonce: 'ee' };
  expect(requestText(request)).toBe('v1\nhttps://edge\nPUT\n/a?b=c\ndd\n6\nee');
});
