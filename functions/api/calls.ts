/** GET /calls, GET /calls/{id}: what became of a call, as its Account knows it. */
import { Hono } from 'hono';
import { callStory } from '../account/story.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import { accountStub } from '../stubs.ts';
import type { Vars } from './vars.ts';

const PAGE = 50;

export const callsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

callsApi.get('/calls', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const calls = await accountStub(c.env, account).recentCalls(PAGE);
  return c.json({ items: calls.map(callStory) });
});

/** Another account's call is not found, as one that never was. */
callsApi.get('/calls/:id', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const call = await accountStub(c.env, account).getCall(c.req.param('id').toLowerCase());
  if (call === null) throw new RipcordError('call_not_found');
  return c.json(callStory(call));
});
