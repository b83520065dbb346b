/** An agent whose socket is open and says nothing is not trusted with a call; one that pings is. Both since the start. */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { LIMITS } from '#protocol';
import type { Instance } from './setup.ts';
import { edge, problemCode } from './stage.ts';

const { quiet } = edge;

beforeAll(async () => {
  // Time itself is what is tested; the other files have spent most of it.
  await sleep(Math.max(0, quiet.since + LIMITS.silenceMs + 1_000 - Date.now()));
});

const call = ({ chute, instance }: Instance): Promise<Response> =>
  fetch(`${edge.api}/call/${chute}/x`, {
    headers: { authorization: `Bearer ${edge.key}`, 'x-ripcord-instance': instance },
    signal: AbortSignal.timeout(10_000),
  });

test('after silenceMs the call of a silent one is refused instead of waiting for it', async () => {
  const reply = await call(quiet.silent);
  expect([reply.status, await problemCode(reply)]).toEqual([429, 'no_capacity']);
});

test('pings alone keep an agent trusted, though its object slept meanwhile', async () => {
  expect((await call(quiet.pinging)).status).toBe(200);
});
