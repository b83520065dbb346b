import { bytesToHex } from '@noble/hashes/utils.js';
import { describe, expect, test } from 'vitest';
import { headBytes, splitHead, type Head } from '../../../functions/account/replays/head.ts';
import { answerKeyOf, hotkeySecret, nameOf, open, printOf, seal } from '../../../functions/account/replays/seal.ts';

const ENV = { EDGE_SECRET: '11'.repeat(32) };
const text = (value: string) => new TextEncoder().encode(value);

test('vectors: what is stored today must be found and opened tomorrow', async () => {
  expect(await nameOf(ENV, 'acc_1', 'key 1')).toBe('ebeca2c494ddbe952e3f41526e63250a5874fe24b98d13ff3b6e3b110bc68c9b');
  expect(await printOf(ENV, ['key_1', 'POST', '/x'], text('{}'))).toBe('cf54c7df118bdd3cfe844bba17c277a07f12889bddf6ca89d4b2e1ac074fdf07');
  expect(bytesToHex(await answerKeyOf('rip_secret', 'acc_1', 'key 1'))).toBe(
    'ba3082ad356f9256900f44dbed229faf89cd1a9e02822abd7ad039192dcc6dad',
  );
  expect(await hotkeySecret(ENV, 'acc_1')).toBe('d77af98f72386120a8f1c84d129a96d84274f78b1ac41783d3a31ebbed4a695c');
});

describe('an answer opens only with', () => {
  const ask = async (secret = 'rip_a', account = 'acc_1', key = 'k') => answerKeyOf(secret, account, key);

  test('the same secret, account, Idempotency-Key and place', async () => {
    const sealed = await seal(await ask(), 'name\ncall', text('answer'));
    expect(new TextDecoder().decode(await open(await ask(), 'name\ncall', sealed))).toBe('answer');
    const others = [await ask('rip_b'), await ask('rip_a', 'acc_2'), await ask('rip_a', 'acc_1', 'l')];
    for (const key of others) await expect(open(key, 'name\ncall', sealed)).rejects.toThrow();
    await expect(open(await ask(), 'name\nother', sealed)).rejects.toThrow();
  });

  test('every byte as it was', async () => {
    const sealed = await seal(await ask(), 'b', text('answer'));
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(open(await ask(), 'b', changed)).rejects.toThrow();
    }
  });

  test('no two seals of the same answer are the same', async () => {
    const [one, two] = [await seal(await ask(), 'b', text('answer')), await seal(await ask(), 'b', text('answer'))];
    expect(bytesToHex(one)).not.toBe(bytesToHex(two));
  });
});

test('names and prints tell requests apart', async () => {
  const names = [
    await nameOf(ENV, 'a', 'k'),
    await nameOf(ENV, 'b', 'k'),
    await nameOf(ENV, 'a', 'l'),
    await nameOf({ EDGE_SECRET: '22'.repeat(32) }, 'a', 'k'),
  ];
  expect(new Set(names).size).toBe(4);
  const prints = [
    await printOf(ENV, ['k', 'POST', '/a'], text('1')),
    await printOf(ENV, ['k', 'POST', '/a'], text('2')),
    await printOf(ENV, ['k', 'PUT', '/a'], text('1')),
    await printOf(ENV, ['l', 'POST', '/a'], text('1')),
    await printOf(ENV, ['k', 'POST', '/a/'], text('1')),
  ];
  expect(new Set(prints).size).toBe(5);
});

describe('head and body as bytes', () => {
  const HEADS: [string, Head][] = [
    [
      'a reply',
      {
        status: 200,
        headers: [
          ['content-type', 'text/plain; charset=utf-8'],
          ['x-a', 'ü\\n'],
        ],
      },
    ],
    ['a refusal with amounts', { error: 'insufficient_credit', detail: { required: 2n ** 60n, available: 0n, message: 'two\nlines' } }],
    ['a failure', { error: 'miner_lost', detail: {} }],
  ];
  test.each(HEADS)('%s', (_, head) => {
    const body = text('a\n\nb');
    const bytes = Buffer.concat([headBytes(head), body]);
    for (let cut = 0; cut < headBytes(head).length; cut++) expect(splitHead(bytes.subarray(0, cut))).toBeNull();
    const split = splitHead(bytes);
    expect(split?.head).toEqual(head);
    expect(Buffer.compare(split?.body ?? text(''), body)).toBe(0);
  });
});
