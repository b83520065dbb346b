/** An agent whose socket is open and says nothing is not trusted with a call. It is silent since the network was raised. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { LIMITS } from '#protocol';
import { edge, problemCode } from './stage.ts';

test('after silenceMs its call is refused instead of waiting for it', async () => {
  const { chute, instance, since } = edge.silent;
  // Time itself is what is tested; the other files have spent most of it.
  await sleep(Math.max(0, since + LIMITS.silenceMs + 1_000 - Date.now()));
  const started = Date.now();
  const reply = await fetch(`${edge.api}/call/${chute}/x`, {
    headers: { authorization: `Bearer ${edge.key}`, 'x-ripcord-instance': instance },
  });
  expect([reply.status, await problemCode(reply)]).toEqual([429, 'no_capacity']);
  expect(Date.now() - started).toBeLessThan(5_000);
});
