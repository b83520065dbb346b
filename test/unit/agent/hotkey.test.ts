import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getPublicKey, secretFromSeed, verify } from '@scure/sr25519';
import { describe, expect, it } from 'vitest';
import { createHotkeyFile, loadHotkey, sign } from '../../../miner-agent/identity/hotkey.ts';
import { secretOfKeyfile, shiftScalar } from '../../../miner-agent/identity/keyfile.ts';
import { signedHeaders } from '../../../miner-agent/identity/signed-request.ts';
import { decodeAddress, encodeAddress } from '../../../miner-agent/identity/ss58.ts';
import { requestText } from '../../../functions/protocol/index.ts';

const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const ALICE_KEY = 'd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d';
const SEED = 'da3cf5b1e9144931a0f0db65664aab662673b099415a7f8121b7245fb0be4143';
const ADDRESS = '5HDvhV6WDCjCKyrXqGQSDYqQAzkzabNhctmiDYEqgBC66BsX';

const ED25519_PUBLIC = 'f90bc712b5f2864051353177a9d627605d4bf7ec36c7df568cfdcea9f237c185';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const seed = Uint8Array.from(Buffer.from(SEED, 'hex'));
const scureSecret = secretFromSeed(seed);

describe('ss58', () => {
  it('encodes and decodes the known vector', () => {
    expect(encodeAddress(Uint8Array.from(Buffer.from(ALICE_KEY, 'hex')))).toBe(ALICE);
    expect(hex(decodeAddress(ALICE) ?? new Uint8Array())).toBe(ALICE_KEY);
  });
  it.each(['', 'x', ALICE.slice(0, -1), `${ALICE.slice(0, -1)}Z`, '0OIl'])('refuses %s', (text) => {
    expect(decodeAddress(text)).toBeNull();
  });
});

describe('keyfile', () => {
  const file = (fields: Record<string, unknown>) => JSON.stringify(fields);
  const good: [string, string][] = [
    ['seed', file({ secretSeed: `0x${SEED}`, ss58Address: ADDRESS })],
    [
      'seed with a null phrase and other types',
      file({ secretPhrase: null, secretSeed: `0x${SEED}`, ss58Address: ADDRESS, cryptoType: 0, x: 1 }),
    ],
    ['address under its old name', file({ secretSeed: SEED, ' ss58Address': ADDRESS })],
    ['private key in canonical form', file({ privateKey: `0x${hex(shiftScalar(scureSecret, -3n))}`, ss58Address: ADDRESS })],
    ['private key in ed25519 form', file({ privateKey: `0x${hex(scureSecret)}`, ss58Address: ADDRESS })],
    ['bare seed', `${SEED}\n`],
  ];
  it.each(good)('reads a %s', (_name, text) => {
    const read = secretOfKeyfile(text);
    expect('secret' in read && encodeAddress(getPublicKey(read.secret))).toBe(ADDRESS);
  });

  const bad: [string, string, RegExp][] = [
    ['a wrong address', file({ secretSeed: `0x${SEED}`, ss58Address: ALICE }), /does not belong/],
    // Address of the ed25519 public key of the same seed.
    ['an ed25519 key', file({ secretSeed: `0x${SEED}`, ss58Address: ed25519Address(), cryptoType: 0 }), /ed25519/],
    ['a public file', file({ accountId: `0x${ALICE_KEY}`, ss58Address: ALICE }), /public/],
    ['a phrase only', file({ secretPhrase: 'old leopard', ss58Address: ADDRESS }), /phrase/],
    ['an encrypted file', '$NACLxyz', /encrypted/],
    ['a polkadot-js export', file({ encoded: 'x', encoding: {} }), /polkadot-js/],
    ['nonsense', 'hello', /not a Bittensor/],
    ['an array', '[]', /not a Bittensor/],
  ];
  it.each(bad)('refuses %s', (_name, text, why) => {
    const read = secretOfKeyfile(text);
    expect('problem' in read ? read.problem : '').toMatch(why);
    expect(JSON.stringify(read)).not.toContain(SEED);
  });

  it('makes a file that only its owner reads, that loads again and is never overwritten', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'hotkey-')), 'hk');
    const made = createHotkeyFile(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(loadHotkey(path).ss58).toBe(made.ss58);
    const before = readFileSync(path, 'utf8');
    expect(() => createHotkeyFile(path)).toThrow(/EEXIST/);
    expect(readFileSync(path, 'utf8')).toBe(before);
    const { secretSeed: _, ...rest } = JSON.parse(before) as Record<string, unknown>;
    writeFileSync(path, JSON.stringify(rest));
    expect(loadHotkey(path).ss58).toBe(made.ss58);
  });

  it('signs texts and requests that verify, and never prints its secret', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'hotkey-')), 'hk');
    const hotkey = createHotkeyFile(path);
    const key = decodeAddress(hotkey.ss58) ?? new Uint8Array();
    const check = (text: string, signature: string) => verify(Buffer.from(text), Uint8Array.from(Buffer.from(signature, 'hex')), key);
    expect(check('hello', sign(hotkey, 'hello'))).toBe(true);
    const headers = signedHeaders(hotkey, { origin: 'http://edge', method: 'POST', target: '/accounts', body: '{}' }, 1_000);
    const text = requestText({
      origin: 'http://edge',
      method: 'POST',
      target: '/accounts',
      bodySha256: '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
      timestampMs: 1_000,
      nonce: headers['x-ripcord-nonce'] ?? '',
    });
    expect(check(text, headers['x-ripcord-signature'] ?? '')).toBe(true);
    expect(JSON.stringify(hotkey)).toBe(JSON.stringify({ ss58: hotkey.ss58 }));
  });
});

function ed25519Address(): string {
  // The public key was computed once with OpenSSL from SEED.
  return encodeAddress(Uint8Array.from(Buffer.from(ED25519_PUBLIC, 'hex')));
}
