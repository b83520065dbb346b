/** What waits in the stand-in has bounds. */
import { expect, test } from 'vitest';
import { CHAIN_LIMITS } from '../../../dev/chain/chain.ts';
import { RpcError } from '../../../dev/chain/rpc.ts';
import { Subscriptions } from '../../../dev/chain/subscriptions.ts';
import { ADA, stage } from './stage.ts';

test('registrations wait for the next block, so many and no more', () => {
  const { chain, grow } = stage();
  const taken = Array.from({ length: CHAIN_LIMITS.tasks + 1 }, () => chain.enlist({ hotkey: ADA.ss58 }));
  expect([taken.slice(0, -1).every(Boolean), taken.at(-1)]).toEqual([true, false]);
  grow(1);
  expect(chain.enlist({ hotkey: ADA.ss58 })).toBe(true);
});

test('a connection has so many subscriptions; what it lets go makes room', () => {
  const { chain, grow } = stage();
  const told: string[] = [];
  const subscriptions = new Subscriptions({ chain, metadata: null }, { send: (method, id) => void told.push(`${method} ${id}`) });
  const subscribe = () => subscriptions.handle('chain_subscribeNewHeads', [], (task) => task());
  const ids = Array.from({ length: 256 }, subscribe);
  expect(subscribe).toThrow(RpcError);
  expect(subscriptions.handle('chain_unsubscribeNewHeads', [ids[0]], () => undefined)).toBe(true);
  expect(subscribe()).toBe('s257');
  told.length = 0;
  grow(1);
  expect(told).toHaveLength(256);
  subscriptions.close();
  grow(1);
  expect(told).toHaveLength(256);
});
