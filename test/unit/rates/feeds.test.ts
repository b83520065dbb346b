/** What an operator may write in TAO_USD_FEEDS, and what is left out of it. */
import { expect, test } from 'vitest';
import { feedsOf, type FeedFault } from '../../../functions/rates/feeds.ts';

const good = (name: string) => `${name}=https://${name}.example/tao#price`;

test('names, addresses and paths', () => {
  expect(
    feedsOf(' kraken=https://api.kraken.example/0/public/Ticker?pair=TAOUSD#result.TAOUSD.c.0 ,\n a-1=https://a.example:8443/x#usd', false),
  ).toEqual({
    feeds: [
      { name: 'kraken', url: 'https://api.kraken.example/0/public/Ticker?pair=TAOUSD', path: ['result', 'TAOUSD', 'c', '0'] },
      { name: 'a-1', url: 'https://a.example:8443/x', path: ['usd'] },
    ],
    faults: [],
  });
});

test.each(['', '  ', '\n'])('%j is no feed', (text) => expect(feedsOf(text, false)).toEqual({ feeds: [], faults: [] }));

test.each<[spec: string, fault: FeedFault]>([
  ['', 'name'],
  ['https://a.example/x#usd', 'name'],
  ['https://a.example/x?pair=TAO#usd', 'name'],
  ['=https://a.example/x#usd', 'name'],
  ['Kraken=https://a.example/x#usd', 'name'],
  ['a b=https://a.example/x#usd', 'name'],
  [`${'a'.repeat(33)}=https://a.example/x#usd`, 'name'],
  ['good=https://other.example/x#usd', 'name_twice'],
  ['a=', 'url'],
  ['a=a.example/x#usd', 'url'],
  ['a=http://a.example/x#usd', 'url'],
  ['a=http://127.0.0.1/x#usd', 'url'],
  ['a=ftp://a.example/x#usd', 'url'],
  ['a=file:///etc/passwd#usd', 'url'],
  ['a=https://user:secret@a.example/x#usd', 'url'],
  [`a=https://a.example/${'x'.repeat(500)}#usd`, 'url'],
  ['a=https://a.example/x', 'path'],
  ['a=https://a.example/x#', 'path'],
  ['a=https://a.example/x#a..b', 'path'],
  ['a=https://a.example/x#.a', 'path'],
  [`a=https://a.example/x#${'a.'.repeat(10)}a`, 'path'],
])('%j is left out: %s', (spec, fault) => {
  const { feeds, faults } = feedsOf([good('good'), spec, good('last')].join(','), false);
  expect(feeds.map(({ name }) => name)).toEqual(['good', 'last']);
  expect(faults).toEqual([{ at: 2, fault }]);
});

test('five and no more; one that is left out takes no place', () => {
  const { feeds, faults } = feedsOf(['bad', ...['a', 'b', 'c', 'd', 'e', 'f'].map(good)].join(','), false);
  expect(feeds.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(faults).toEqual([
    { at: 1, fault: 'name' },
    { at: 7, fault: 'too_many' },
  ]);
});

test.each([
  ['a=http://127.0.0.1:81/x#usd', true],
  ['a=http://localhost:81/x#usd', true],
  ['a=http://[::1]:81/x#usd', true],
  ['a=https://a.example/x#usd', true],
  ['a=http://a.example/x#usd', false],
  ['a=http://127.0.0.1.a.example/x#usd', false],
  ['a=http://10.0.0.1/x#usd', false],
])('on one machine %s: %s', (spec, taken) => expect(feedsOf(spec, true).feeds).toHaveLength(taken ? 1 : 0));
