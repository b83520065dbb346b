import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { getPublicKey, secretFromSeed, sign } from '@scure/sr25519';
import { describe, expect, test } from 'vitest';
import { requestText, SIGNED_HEADERS } from '../../../functions/protocol/hello.ts';
import { RipcordError } from '../../../functions/errors.ts';
import { checkSigned, verifyHotkey, type SignedRequest } from '../../../functions/gate/hotkey.ts';
import { decodeSs58, encodeSs58 } from '../../../functions/gate/ss58.ts';

const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const ALICE_KEY = 'd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d';
const secret = secretFromSeed(new Uint8Array(32).fill(9));
const hotkey = encodeSs58(getPublicKey(secret));
const bytes = (text: string) => new TextEncoder().encode(text);
const signHex = (text: string) => bytesToHex(sign(secret, bytes(text)));

describe('ss58', () => {
  test('vector', () => {
    expect(bytesToHex(decodeSs58(ALICE) ?? new Uint8Array())).toBe(ALICE_KEY);
    expect(encodeSs58(hexToBytes(ALICE_KEY))).toBe(ALICE);
  });

  test.each([
    ['one character changed', `${ALICE.slice(0, 20)}1${ALICE.slice(21)}`],
    ['cut', ALICE.slice(0, -1)],
    ['longer', `${ALICE}1`],
    ['hex', `0x${ALICE_KEY}`],
    ['not base58', ALICE.replace('5', '0')],
    ['another network (prefix 0)', '15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5'],
    ['an Ethereum-length id', 'HGKutQY'],
    ['empty', ''],
    ['huge', '5'.repeat(100_000)],
  ])('%s is refused', (_, address) => {
    expect(decodeSs58(address)).toBeNull();
  });
});

describe('verifyHotkey', () => {
  const text = 'v1\nhello';
  const good = signHex(text);

  test('what the hotkey signed', () => {
    expect(verifyHotkey(text, good, hotkey)).toBe(true);
    expect(verifyHotkey(text, `0x${good}`, hotkey)).toBe(true);
    expect(verifyHotkey(text, signHex(text), hotkey)).toBe(true);
  });

  test.each([
    ['another text', 'v1\nhellp', good, hotkey],
    ['wrapped text', `<Bytes>${text}</Bytes>`, good, hotkey],
    ['another hotkey', text, good, ALICE],
    ['a cut signature', text, good.slice(0, -2), hotkey],
    ['upper case', text, good.toUpperCase(), hotkey],
    ['no signature', text, '', hotkey],
    ['zeros', text, '0'.repeat(128), hotkey],
    ['ones', text, 'f'.repeat(128), hotkey],
    ['no address', text, good, ''],
  ])('%s is false', (_, what, signature, address) => {
    expect(verifyHotkey(what, signature, address)).toBe(false);
  });

  test('every flipped bit is false and none throws', () => {
    for (let bit = 0; bit < 512; bit += 7) {
      const damaged = hexToBytes(good);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verifyHotkey(text, bytesToHex(damaged), hotkey)).toBe(false);
    }
  });
});

describe('a captured request', () => {
  const now = 1_790_000_000_000;
  const origin = 'https://ripcord.example';
  const captured = { method: 'POST', target: '/keys?x=1', body: bytes('{"name":"a"}'), timestampMs: now, nonce: 'ab'.repeat(16) };
  const headers = signedHeaders(captured);

  test('is good as it was sent', async () => {
    expect(await checkSigned(request({}), now)).toEqual({ hotkey, nonce: captured.nonce });
  });

  test('is good within 30 s either way', async () => {
    await expect(checkSigned(request({}), now + 30_000)).resolves.toBeTruthy();
    await expect(checkSigned(request({}), now - 30_000)).resolves.toBeTruthy();
  });

  test.each<[string, Partial<SignedRequest> & { headers?: Record<string, string> }, number]>([
    ['another method', { method: 'PUT' }, now],
    ['another path', { target: '/chutes?x=1' }, now],
    ['another query', { target: '/keys?x=2' }, now],
    ['no query', { target: '/keys' }, now],
    ['another body', { body: bytes('{"name":"b"}') }, now],
    ['no body', { body: new Uint8Array(0) }, now],
    ['another edge', { origin: 'https://staging.example' }, now],
    ['stale', {}, now + 30_001],
    ['from the future', {}, now - 30_001],
    ['stale with a fresh timestamp', { headers: { [SIGNED_HEADERS.timestamp]: String(now + 60_000) } }, now + 60_000],
    ['another nonce', { headers: { [SIGNED_HEADERS.nonce]: 'ac'.repeat(16) } }, now],
    ['a nonce of another form', { headers: { [SIGNED_HEADERS.nonce]: 'AB'.repeat(16) } }, now],
    ['a short nonce', { headers: { [SIGNED_HEADERS.nonce]: 'ab' } }, now],
    ['no nonce', { headers: { [SIGNED_HEADERS.nonce]: '' } }, now],
    ['another hotkey', { headers: { [SIGNED_HEADERS.hotkey]: ALICE } }, now],
    ['a timestamp with a sign', { headers: { [SIGNED_HEADERS.timestamp]: `+${now}` } }, now],
    ['a timestamp in another form', { headers: { [SIGNED_HEADERS.timestamp]: `${now}.0` } }, now],
    ['seconds', { headers: { [SIGNED_HEADERS.timestamp]: String(now / 1000) } }, now],
    ['no signature', { headers: { [SIGNED_HEADERS.signature]: '' } }, now],
  ])('%s is refused', async (_, change, at) => {
    const error = await checkSigned(request(change), at).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RipcordError);
    expect((error as RipcordError).code).toBe('invalid_signature');
  });

  function request(change: Partial<SignedRequest> & { headers?: Record<string, string> }): SignedRequest {
    const all: Record<string, string> = { ...headers, ...change.headers };
    return { origin, method: captured.method, target: captured.target, body: captured.body, header: (name) => all[name], ...change };
  }

  function signedHeaders(r: typeof captured): Record<string, string> {
    const text = requestText({
      origin,
      method: r.method,
      target: r.target,
      bodySha256: bytesToHex(sha256(r.body)),
      timestampMs: r.timestampMs,
      nonce: r.nonce,
    });
    return {
      [SIGNED_HEADERS.hotkey]: hotkey,
      [SIGNED_HEADERS.timestamp]: String(r.timestampMs),
      [SIGNED_HEADERS.nonce]: r.nonce,
      [SIGNED_HEADERS.signature]: signHex(text),
    };
  }
});
