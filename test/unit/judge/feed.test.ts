/** What a judge reads of an edge that lies is an error with a name, and never taken for less than it is. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EdgeError, makeRequests } from '../../../validator-cron/edge/request.ts';
import { makeFeed } from '../../../validator-cron/edge/feed.ts';
import { hotkeyFromSeed } from '../../../validator-cron/hotkey.ts';
import { StandInEdge } from './stand-in-edge.ts';

const hotkey = hotkeyFromSeed('07'.repeat(32));
let edge: StandInEdge;
beforeAll(async () => {
  edge = await StandInEdge.start();
});
afterAll(() => edge[Symbol.asyncDispose]());

test.each(['{', '{"v":2}', '[]'])('its own summary is %s: not the same as none', async (text) => {
  const feed = makeFeed(hotkey.ss58, makeRequests({ origin: edge.origin, hotkey }, new AbortController().signal));
  edge.broken.set(`/epochs/60/judges/${hotkey.ss58}/summary`, (reply) => void reply.end(text));
  await expect(feed.summary(60)).rejects.toThrow(EdgeError);
});
