/**
 * Deploy and look after chutes. A chute that the caller may not see is one that is not there; whoever may see it but does
 * not own it gets its public face only.
 */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import { LIMITS, chuteConfigSchema } from '#protocol';
import { blobs } from '../blobs.ts';
import { versionOf } from '../chute/version-hash.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticate, authenticateAccount } from '../gate/authenticate.ts';
import { chuteIdOf, slugOf } from '../gate/ids.ts';
import { marketListings } from '../market/copy.ts';
import { chuteStub } from '../stubs.ts';
import { attachedOnRecord, tellAttached } from './attached.ts';
import { bodyAtMost } from './body.ts';
import { CHUTE_PATHS, owned, recorded, visible } from './chute-access.ts';
import { chuteItem, listedItem, versionItem } from './chute-items.ts';
import { DEPLOY_BYTES, readDeploy } from './deploy-body.ts';
import { deployedPrices } from './set-price.ts';
import type { Vars } from './vars.ts';

export const chutesApi = new Hono<{ Bindings: Env; Variables: Vars }>();

const deployLimit = bodyAtMost(DEPLOY_BYTES);
const blobLimit = bodyAtMost(LIMITS.codeBytes);

/** Own chutes in a list that are asked for their state; the rest is listed without. */
const LIST_STATES = 100;

chutesApi.get('/schema/chute.json', (c) => {
  const schema = {
    $id: `${c.env.PUBLIC_ORIGIN}/schema/chute.json`,
    title: 'Ripcord chute config',
    ...z.toJSONSchema(chuteConfigSchema, { io: 'input' }),
  };
  return c.json(schema, 200, { 'cache-control': 'public, max-age=300' });
});

chutesApi.put('/blobs/:sha256', blobLimit, async (c) => {
  const { account } = await authenticate(c, 'write');
  const sha256 = c.req.param('sha256');
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  await blobs(c.env, account).put(sha256, bytes);
  return c.json({ sha256, bytes: bytes.byteLength }, 201);
});

// HEAD only: code is given to agents that hold a grant, through their sockets.
chutesApi.get('/blobs/:sha256', async (c) => {
  if (c.req.method !== 'HEAD') throw new RipcordError('method_not_allowed');
  const { account } = await authenticate(c, 'write');
  return c.body(null, (await blobs(c.env, account).has(c.req.param('sha256'))) ? 200 : 404);
});

chutesApi.post('/chutes', deployLimit, async (c) => {
  const caller = await authenticateAccount(c, 'write');
  const { config: told, code } = readDeploy(c.req.raw.headers, await c.req.text());
  const { price, ...config } = told;
  const slug = slugOf(caller.handle, config.name);
  if (slug.length > 63)
    throw new RipcordError('invalid_config', {
      message: `name: with the owner's handle it is longer than a host name may be (${slug}).`,
      param: 'name',
    });
  if (code !== null && !(await blobs(c.env, caller.account).has(code.sha256))) {
    throw new RipcordError('invalid_config', {
      message: 'code: the account has no blob with this SHA-256.',
      hint: `Send it first: PUT /blobs/${code.sha256}.`,
      param: 'code.sha256',
    });
  }
  const [chute, version] = await Promise.all([chuteIdOf(slug, c.env), versionOf(config, code)]);
  const name = `${caller.handle}/${config.name}`;
  const stub = chuteStub(c.env, chute);
  const before = await stub.describe();
  const live = before?.instances.some((instance) => instance.state === 'live') === true;
  await recorded(async (base) => {
    await db.upsertChute(base, { id: chute, accountId: caller.account, name, slug, public: config.public, version });
    await db.insertVersion(base, { chuteId: chute, version, config: withoutSecrets(config), code });
  }, c.env);
  const prices = await deployedPrices(c.env, chute, { price, live }, Date.now());
  const attached = await attachedOnRecord(c.env, chute);
  const deployed = await stub.deploy({ spec: { chute, name, account: caller.account, version, config, code }, slug, prices, attached });
  // What was attached while the Chute was not there yet, it was told in vain.
  if (before === null) await tellAttached(c.env, chute);
  return c.json({ chute_id: chute, name, slug, version, created: deployed.created }, 201);
});

/** Own chutes, those shared with the caller and public ones by name; `?after=` the last name of the page before, `?limit=`. */
chutesApi.get('/chutes', async (c) => {
  const caller = await authenticate(c, 'read');
  const limit = Math.min(200, Math.max(1, Number(c.req.query('limit') ?? 200) || 200));
  const rows = await recorded((base) => db.listChutes(base, caller.account, c.req.query('after') ?? '', limit), c.env);
  const asked = rows.filter((row) => row.accountId === caller.account).slice(0, LIST_STATES);
  const [listings, views] = await Promise.all([
    marketListings(c.env),
    Promise.all(asked.map((row) => chuteStub(c.env, row.id).describe())),
  ]);
  const own = new Map(views.filter((view) => view !== null).map((view) => [view.chute, view]));
  const listed = new Map(listings.map((listing) => [listing.chute, listing]));
  const items = rows.map((row) => {
    const view = own.get(row.id);
    return view === undefined ? listedItem(row, listed.get(row.id)) : chuteItem(view, 'owner');
  });
  return c.json({ items, next: rows.length < limit ? null : (rows.at(-1)?.name ?? null) });
});

for (const at of CHUTE_PATHS) {
  chutesApi.get(at, async (c) => {
    const caller = await authenticate(c, 'read');
    const view = await visible(c, caller);
    return c.json(chuteItem(view, view.owner === caller.account ? 'owner' : 'public'));
  });

  chutesApi.delete(at, async (c) => {
    const view = await owned(c, 'write');
    await recorded(async (base) => {
      await db.deleteChute(base, view.chute);
      await db.detachAll(base, view.chute);
    }, c.env);
    await chuteStub(c.env, view.chute).remove();
    return c.json({ chute_id: view.chute, name: view.name, deleted: true });
  });

  chutesApi.get(`${at}/versions`, async (c) => {
    const view = await owned(c, 'read');
    const versions = await chuteStub(c.env, view.chute).versions();
    return c.json({ items: versions.map(versionItem) });
  });

  chutesApi.post(`${at}/rollback`, deployLimit, async (c) => {
    const view = await owned(c, 'write');
    const version = readVersion(await c.req.text());
    const stub = chuteStub(c.env, view.chute);
    if (!(await stub.rollback(version)))
      throw new RipcordError('not_found', {
        message: 'The chute keeps no such version.',
        hint: 'GET …/versions lists what it keeps.',
        param: 'version',
      });
    const now = await stub.describe();
    if (now === null) throw new RipcordError('chute_not_found');
    await recorded(
      (base) =>
        db.upsertChute(base, {
          id: now.chute,
          accountId: now.owner,
          name: now.name,
          slug: now.slug,
          public: now.config.public,
          version: now.version,
        }),
      c.env,
    );
    return c.json({ chute_id: now.chute, name: now.name, slug: now.slug, version: now.version });
  });

  /** NDJSON; with `?follow=1` it goes on until the client leaves. */
  chutesApi.get(`${at}/logs`, async (c) => {
    const view = await owned(c, 'read');
    const stream = await chuteStub(c.env, view.chute).followLogs(c.req.query('follow') === '1');
    if (stream === null) throw new RipcordError('rate_limited', { message: 'Too many clients follow this log.', retryAfterMs: 5_000 });
    return c.body(stream, 200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  });
}

/** The record says which variables there were, never what they held. */
function withoutSecrets<T extends { env: Record<string, string> }>(config: T): T {
  return { ...config, env: Object.fromEntries(Object.keys(config.env).map((name) => [name, ''])) };
}

const rollbackSchema = z.strictObject({ version: z.string().check(z.regex(/^[0-9a-f]{64}$/)) });

function readVersion(text: string): string {
  try {
    return rollbackSchema.parse(JSON.parse(text)).version;
  } catch {
    throw new RipcordError('invalid_request', { message: 'version: 64 hex digits are expected.', param: 'version' });
  }
}
