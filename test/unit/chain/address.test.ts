/** Deposit addresses: the offline secret, and wallets, come to the same ones. */
import { keyExtractPath, keyFromPath } from '@polkadot/util-crypto/key';
import { HDKD, getPublicKey, secretFromSeed } from '@scure/sr25519';
import { expect, test } from 'vitest';
import { chainCode, depositAddress } from '../../../functions/deposits/address.ts';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';

const secret = secretFromSeed(new Uint8Array(32).fill(7));
const master = Buffer.from(getPublicKey(secret)).toString('hex');

test.each(['acc_0123456789abcdefghjkmnpq', 'acc_zzzzzzzzzzzzzzzzzzzzzzzz', 'a', `acc_${'x'.repeat(80)}`])('%s', (account) => {
  const address = depositAddress(master, account);
  expect(address).toBe(encodeSs58(getPublicKey(HDKD.secretSoft(secret, chainCode(account)))));
  const pair = { publicKey: getPublicKey(secret), secretKey: secret };
  const { publicKey } = keyFromPath(pair, keyExtractPath(`/${account}`).path, 'sr25519');
  expect(address).toBe(encodeSs58(publicKey));
});

test('two accounts never share an address', () => {
  const addresses = Array.from({ length: 64 }, (_, i) => depositAddress(master, `acc_${i}`));
  expect(new Set(addresses).size).toBe(64);
});

test.each(['ff'.repeat(32), master.slice(2), 'zz'.repeat(32), ''])('%j is no master key', (wrong) => {
  expect(depositAddress(wrong, 'acc_1')).toBeNull();
});
