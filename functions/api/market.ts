/** The public board of needs: agents, dashboards and outsiders see the same. */
import { Hono } from 'hono';
import type { Env } from '../env.ts';
import { marketText } from '../market/copy.ts';
import type { Vars } from './vars.ts';

export const marketApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/** `?since=v`: 304 while `v` is still the newest version. */
marketApi.get('/market', async (c) => {
  const { version, json } = await marketText(c.env);
  const headers = { 'cache-control': 'public, max-age=1', etag: `"${version}"` };
  if (c.req.query('since') === String(version)) return c.body(null, 304, headers);
  return c.body(json, 200, { ...headers, 'content-type': 'application/json' });
});
