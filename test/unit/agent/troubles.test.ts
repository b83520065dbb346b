/** What the connection shows to be wrong, over times that are given. */
import { expect, test } from 'vitest';
import { NEWEST_AGENT, SERVED_UNTIL } from '#protocol';
import { Troubles, isOlder } from '../../../miner-agent/connection/troubles.ts';
import { AGENT_VERSION } from '../../../miner-agent/inventory.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const welcome = (fields: object = {}) => ({ type: 'welcome' as const, epoch: 1, now: NOW, newest: '0.2.0', ...fields });
const codes = (troubles: Troubles, now = NOW) => troubles.reasons(now).map((r) => r.code);

test('nothing is wrong', () => {
  const troubles = new Troubles();
  expect(troubles.welcomed(welcome(), '0.2.0', NOW)).toEqual([]);
  expect(codes(troubles)).toEqual([]);
  expect(AGENT_VERSION).toBe(NEWEST_AGENT);
});

test('a clock that differs, until it does not any more', () => {
  const troubles = new Troubles();
  expect(troubles.welcomed(welcome(), '0.2.0', NOW + 90_000)).toEqual([expect.stringMatching(/90 s ahead of the edge's; set it/)]);
  expect(codes(troubles)).toEqual(['wrong_clock']);
  expect(troubles.welcomed(welcome(), '0.2.0', NOW - 20_000)).toEqual([]);
  expect(codes(troubles)).toEqual([]);
});

test('an old agent, and one whose version ends', () => {
  const troubles = new Troubles();
  const servedUntil = SERVED_UNTIL[1] ?? 0;
  expect(troubles.welcomed(welcome({ servedUntil, newest: '0.3.0' }), '0.2.9', NOW)).toEqual([
    expect.stringContaining('served until 2027-06-30'),
    'there is a newer agent: 0.3.0 (this is 0.2.9)',
  ]);
  expect(codes(troubles)).toEqual([]);
  const near = servedUntil - 86_400_000;
  troubles.welcomed(welcome({ servedUntil, now: near }), '0.2.0', near);
  expect(codes(troubles, near)).toEqual(['old_version']);
});

test('three sessions lost within ten minutes are no chance; those the edge ended are', () => {
  const troubles = new Troubles();
  const lose = (asked: boolean, at: number) => {
    troubles.welcomed(welcome({ now: at }), '0.2.0', at);
    troubles.lost(asked, at);
    troubles.lost(asked, at);
  };
  for (let i = 0; i < 5; i++) lose(true, NOW);
  lose(false, NOW);
  lose(false, NOW + 1_000);
  expect(codes(troubles, NOW + 1_000)).toEqual([]);
  for (let i = 2; i < 1_000; i++) lose(false, NOW + i * 1_000);
  expect(troubles.reasons(NOW + 1_000_000)).toEqual([{ code: 'socket_cut', count: 3, chutes: [] }]);
  expect(codes(troubles, NOW + 2_000_000)).toEqual([]);
});

test.each([
  ['0.2.0', '0.10.0', true],
  ['0.10.0', '0.2.0', false],
  ['1.0.0', '1.0.0', false],
  ['0', '0.0.1', true],
  ['test', '0.2.0', false],
])('%s is older than %s: %s', (version, than, older) => expect(isOlder(version, than)).toBe(older));
