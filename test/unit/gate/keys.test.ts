import { describe, expect, test } from 'vitest';
import { RipcordError } from '../../../functions/errors.ts';
import { accountIdOf } from '../../../functions/gate/ids.ts';
import { KEY_FORM, mintKey, parseKey } from '../../../functions/gate/keys.ts';

const env = { EDGE_SECRET: '11'.repeat(32) };
const other = { EDGE_SECRET: '22'.repeat(32) };
const account = await accountIdOf('5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY', env);

/** Frozen: a key in somebody's hands must parse for ever. */
const VECTOR = {
  secretKey: 'rip_kbx16t7vvgerj212cgcrzp35sngw0x8mshwm4y9ykfh623gn_BEqLSeZwHNQ7eFVK1CBatJbdQceGzwiBdcEi1KtEA2bk8pxgcy02bRke1',
  claim: {
    account: 'acc_kbx16t7vvgerj212cgcrzp35',
    key: 'key_sngw0x8mshwm4y9ykfh623gn',
    proof: 'bcc3e39510e64327153057ec17d5591ef8ed310ce6fe9472e8f8f055803c54f9',
  },
};

describe('keys', () => {
  test('a minted key is parsed to the claim that the account keeps', async () => {
    const minted = await mintKey(account, env);
    expect(minted.secretKey).toMatch(KEY_FORM);
    expect(await parseKey(`Bearer ${minted.secretKey}`, env)).toEqual({ account, key: minted.key, proof: minted.proof });
    expect(minted.secretKey).not.toContain(minted.proof);
  });

  test('the form is frozen', async () => {
    expect(await parseKey(`Bearer ${VECTOR.secretKey}`, env)).toEqual(VECTOR.claim);
  });

  test('two keys share neither secret nor proof', async () => {
    const [a, b] = [await mintKey(account, env), await mintKey(account, env)];
    expect(a.proof).not.toBe(b.proof);
    expect(a.secretKey.slice(53, 96)).not.toBe(b.secretKey.slice(53, 96));
  });

  test.each([
    ['no header', () => undefined],
    ['empty', () => ''],
    ['another scheme', (key: string) => `Basic ${key}`],
    ['no scheme', (key: string) => key],
    ['cut', (key: string) => `Bearer ${key.slice(0, -1)}`],
    ['longer', (key: string) => `Bearer ${key}0`],
    ['two words', (key: string) => `Bearer ${key} x`],
    ['another product', (key: string) => `Bearer ${key.replace('rip_', 'cpk_')}`],
    ['a foreign character', (key: string) => `Bearer ${key.slice(0, 60)}é${key.slice(61)}`],
    ['huge', () => `Bearer rip_${'0'.repeat(1_000_000)}`],
  ])('%s is refused', async (_, header) => {
    await expectRefused(parseKey(header((await mintKey(account, env)).secretKey), env));
  });

  test('any changed character is refused', async () => {
    const { secretKey } = await mintKey(account, env);
    for (let at = 0; at < secretKey.length; at++) {
      const changed = secretKey.slice(0, at) + (secretKey[at] === '7' ? '8' : '7') + secretKey.slice(at + 1);
      await expectRefused(parseKey(`Bearer ${changed}`, env));
    }
  });

  test('a key of another edge is refused, though its form and checksum are right', async () => {
    await expectRefused(parseKey(`Bearer ${(await mintKey(account, other)).secretKey}`, env));
  });

  test('the message never holds the key', async () => {
    const { secretKey } = await mintKey(account, other);
    const error = await parseKey(`Bearer ${secretKey}`, env).catch((e: unknown) => e);
    expect(JSON.stringify([String(error), (error as RipcordError).detail])).not.toContain(secretKey.slice(53, 96));
  });
});

async function expectRefused(parse: Promise<unknown>): Promise<void> {
  const error = await parse.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(RipcordError);
  expect((error as RipcordError).code).toBe('invalid_api_key');
}
