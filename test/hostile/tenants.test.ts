/**
 * Every route of the edge against every caller that should not get through: what is another's is as absent as what never
 * was, and no answer or log line holds a secret. A route without a row here fails the first test.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import { chuteConfigSchema } from '#protocol';
import { Client } from '../../cli/client.ts';
import { until } from '../harness/until.ts';
import { newHotkey } from './raw-agent.ts';
import { deploy, edge } from './stage.ts';

type Scope = 'invoke' | 'read' | 'write' | 'keys';

interface Tenant {
  handle: string;
  account: string;
  hotkey: string;
  client: Client;
  /** Keys by what they may do. */
  all: string;
  only: Record<Scope, string>;
}

/** One chute, call, key …: of the first tenant, or of nobody. */
interface Things {
  id: string;
  name: string;
  slug: string;
  call: string;
  key: string;
  version: string;
  secret: string;
}

interface Ask {
  method: string;
  target: string;
  body?: string;
  /** By host name. */
  host?: string;
}

interface Row {
  ask(things: Things): Ask;
  /** Null: the route is open to all, or guards itself otherwise (`guard`). */
  scope: Scope | null;
  /** Another scope that is enough too. */
  or?: Scope;
  /** What the owner gets; empty: it would destroy the thing, other tests do it. */
  ours: number[];
  /** What another tenant gets of ours, and everybody of nothing. `own`: the route shows the caller its own things. */
  foreign: [number, string] | 'own';
  guard?: [number, string];
  /** The board of needs names private chutes too, while they want an instance: whoever has a machine may run them. */
  board?: true;
}

const chat = (things: Things) =>
  JSON.stringify({ model: things.name, messages: [{ role: 'user', content: 'x' }], prompt: 'x', input: 'x' });
/** Nothing runs: the call waits as long as the chute's timeout says, or is sent away. */
const WAITED = [429, 503, 504];
const get = (target: (t: Things) => string) => (t: Things) => ({ method: 'GET', target: target(t) });
const inference = (target: string): Row => ({
  ask: (t) => ({ method: 'POST', target, body: chat(t) }),
  scope: 'invoke',
  ours: WAITED,
  foreign: [404, 'model_not_found'],
});
const call = (ask: (t: Things) => Ask): Row => ({ ask, scope: 'invoke', ours: WAITED, foreign: [404, 'chute_not_found'] });
const open = (target: string, ours = [200]): Row => ({ ask: () => ({ method: 'GET', target }), scope: null, ours, foreign: 'own' });
const guarded = (method: string, target: string, body: string | undefined, guard: [number, string]): Row => ({
  ask: () => ({ method, target, ...(body === undefined ? {} : { body }) }),
  scope: null,
  ours: [guard[0]],
  foreign: 'own',
  guard,
});

/** Of a chute by id and by name. */
const chuteRows = (route: string, at: (t: Things) => string): [string, Row][] => [
  [`GET ${route}`, { ask: get(at), scope: 'read', ours: [200], foreign: [404, 'chute_not_found'] }],
  [`DELETE ${route}`, { ask: (t) => ({ method: 'DELETE', target: at(t) }), scope: 'write', ours: [], foreign: [404, 'chute_not_found'] }],
  [`GET ${route}/versions`, { ask: get((t) => `${at(t)}/versions`), scope: 'read', ours: [200], foreign: [404, 'chute_not_found'] }],
  [
    `POST ${route}/rollback`,
    {
      ask: (t) => ({ method: 'POST', target: `${at(t)}/rollback`, body: JSON.stringify({ version: t.version }) }),
      scope: 'write',
      ours: [200],
      foreign: [404, 'chute_not_found'],
    },
  ],
  [`GET ${route}/logs`, { ask: get((t) => `${at(t)}/logs`), scope: 'read', ours: [200], foreign: [404, 'chute_not_found'] }],
  [
    `GET ${route}/warmup`,
    { ask: get((t) => `${at(t)}/warmup`), scope: 'invoke', or: 'read', ours: [200], foreign: [404, 'chute_not_found'] },
  ],
  [
    `POST ${route}/warmup`,
    {
      ask: (t) => ({ method: 'POST', target: `${at(t)}/warmup`, body: '{}' }),
      scope: 'invoke',
      ours: [200],
      foreign: [404, 'chute_not_found'],
    },
  ],
  [`GET ${route}/prices`, { ask: get((t) => `${at(t)}/prices`), scope: 'read', ours: [200], foreign: [404, 'chute_not_found'] }],
  [
    `PUT ${route}/price`,
    {
      ask: (t) => ({ method: 'PUT', target: `${at(t)}/price`, body: '{"price":{}}' }),
      scope: 'write',
      ours: [200, 201],
      foreign: [404, 'chute_not_found'],
    },
  ],
  [`GET ${route}/shares`, { ask: get((t) => `${at(t)}/shares`), scope: 'read', ours: [200], foreign: [404, 'chute_not_found'] }],
  [`GET ${route}/metrics`, { ask: get((t) => `${at(t)}/metrics`), scope: 'read', ours: [200], foreign: [404, 'chute_not_found'] }],
];

const BLOB = randomBytes(64);
const BLOB_NAME = createHash('sha256').update(BLOB).digest('hex');
const CONFIG = { name: 'mine', command: ['true'] };

const post =
  (target: string, body: (t: Things) => object): Row['ask'] =>
  (t) => ({ method: 'POST', target, body: JSON.stringify(body(t)) });
const sharing = (target: string): Row => ({
  ask: post(target, (t) => ({ chute_id_or_name: t.name, user_id_or_name: friend.handle })),
  scope: 'write',
  ours: [200],
  foreign: [404, 'chute_not_found'],
});

const MATRIX: Record<string, Row> = {
  'POST /v1/chat/completions': inference('/v1/chat/completions'),
  'POST /v1/completions': inference('/v1/completions'),
  'POST /v1/embeddings': inference('/v1/embeddings'),
  'GET /v1/models': open('/v1/models'),
  'ALL /call/:id{cht_[^/]+}/:path{.*}?': call((t) => ({ method: 'PUT', target: `/call/${t.id}/a/b?c=d`, body: 'x' })),
  'ALL /call/:owner/:name/:path{.*}?': call((t) => ({ method: 'GET', target: `/call/${t.name}/a/b` })),
  'ALL /*': call((t) => ({ method: 'GET', target: '/a/b', host: `${t.slug}.localhost` })),
  'GET /calls': { ask: get(() => '/calls'), scope: 'read', ours: [200], foreign: 'own' },
  'GET /calls/:id': { ask: get((t) => `/calls/${t.call}`), scope: 'read', ours: [200], foreign: [404, 'call_not_found'] },
  'GET /calls/:id/why': { ask: get((t) => `/calls/${t.call}/why`), scope: 'read', ours: [200], foreign: [404, 'call_not_found'] },
  'GET /schema/chute.json': open('/schema/chute.json'),
  'PUT /blobs/:sha256': {
    ask: () => ({ method: 'PUT', target: `/blobs/${BLOB_NAME}`, body: BLOB.toString('latin1') }),
    scope: 'write',
    ours: [201, 400],
    foreign: 'own',
  },
  'GET /blobs/:sha256': {
    ask: () => ({ method: 'HEAD', target: `/blobs/${BLOB_NAME}` }),
    scope: 'write',
    ours: [200, 404],
    foreign: 'own',
  },
  'POST /chutes': {
    ask: () => ({ method: 'POST', target: '/chutes', body: JSON.stringify({ config: CONFIG }) }),
    scope: 'write',
    ours: [201],
    foreign: 'own',
  },
  'GET /chutes': { ask: get(() => '/chutes'), scope: 'read', ours: [200], foreign: 'own' },
  ...Object.fromEntries(chuteRows('/chutes/:id{cht_[^/]+}', (t) => `/chutes/${t.id}`)),
  ...Object.fromEntries(chuteRows('/chutes/:owner{[a-z0-9]+}/:name', (t) => `/chutes/${t.name}`)),
  'POST /chutes/share': sharing('/chutes/share'),
  'POST /chutes/unshare': sharing('/chutes/unshare'),
  'POST /secrets': {
    ask: post('/secrets', (t) => ({ purpose: t.id, key: 'TOKEN', value: 'value-of-a-secret' })),
    scope: 'write',
    ours: [200, 201],
    foreign: [404, 'chute_not_found'],
  },
  'GET /secrets': { ask: get(() => '/secrets'), scope: 'read', ours: [200], foreign: 'own' },
  'GET /secrets/:id': { ask: get((t) => `/secrets/${t.secret}`), scope: 'read', ours: [200], foreign: [404, 'not_found'] },
  'DELETE /secrets/:id': {
    ask: (t) => ({ method: 'DELETE', target: `/secrets/${t.secret}` }),
    scope: 'write',
    ours: [],
    foreign: [404, 'not_found'],
  },
  'POST /quote': {
    ask: (t) => ({ method: 'POST', target: `/quote?path=/call/${t.name}/a`, body: '{}' }),
    scope: 'invoke',
    or: 'read',
    ours: [200],
    foreign: [404, 'chute_not_found'],
  },
  'GET /market': { ...open('/market'), board: true },
  // A key registers nothing; only a hotkey does.
  'POST /accounts': {
    ask: () => ({ method: 'POST', target: '/accounts', body: '{"handle":"other"}' }),
    scope: 'write',
    ours: [401],
    foreign: 'own',
  },
  'GET /accounts/me': { ask: get(() => '/accounts/me'), scope: 'read', ours: [200], foreign: 'own' },
  // No chain is configured here.
  'GET /accounts/me/balance': { ask: get(() => '/accounts/me/balance'), scope: 'read', ours: [200], foreign: 'own' },
  'GET /accounts/me/alerts': { ask: get(() => '/accounts/me/alerts'), scope: 'read', ours: [200], foreign: 'own' },
  'PUT /accounts/me/alerts': {
    ask: () => ({ method: 'PUT', target: '/accounts/me/alerts', body: '{"cap_percent":[80]}' }),
    scope: 'write',
    ours: [200],
    foreign: 'own',
  },
  'GET /accounts/me/deposit-address': { ask: get(() => '/accounts/me/deposit-address'), scope: 'read', ours: [503], foreign: 'own' },
  'GET /accounts/me/deposits': { ask: get(() => '/accounts/me/deposits'), scope: 'read', ours: [200], foreign: 'own' },
  'GET /accounts/me/usage': { ask: get(() => '/accounts/me/usage?by=chute'), scope: 'read', ours: [200], foreign: 'own' },
  // This edge takes no cards.
  'POST /billing/checkout': {
    ask: () => ({ method: 'POST', target: '/billing/checkout', body: '{"amount_usd":"20"}' }),
    scope: 'write',
    ours: [503],
    foreign: 'own',
  },
  'GET /billing/checkouts': { ask: get(() => '/billing/checkouts'), scope: 'read', ours: [200], foreign: 'own' },
  'POST /billing/stripe/webhook': guarded('POST', '/billing/stripe/webhook', '{}', [503, 'unavailable']),
  'GET /keys': { ask: get(() => '/keys'), scope: 'keys', ours: [200], foreign: 'own' },
  'POST /keys': { ask: () => ({ method: 'POST', target: '/keys', body: '{"name":"n"}' }), scope: 'keys', ours: [201], foreign: 'own' },
  'PATCH /keys/:id': {
    ask: (t) => ({ method: 'PATCH', target: `/keys/${t.key}`, body: '{}' }),
    scope: 'keys',
    ours: [200],
    foreign: [404, 'not_found'],
  },
  // Every key that lives sees itself.
  'GET /key': open('/key', [200, 401]),
  'DELETE /keys/:id': {
    ask: (t) => ({ method: 'DELETE', target: `/keys/${t.key}` }),
    scope: 'keys',
    ours: [],
    foreign: [404, 'not_found'],
  },
  'POST /agents/challenge': guarded('POST', '/agents/challenge', '{}', [400, 'invalid_request']),
  'GET /agents/connect': guarded('GET', '/agents/connect', undefined, [400, 'invalid_request']),
  'GET /miners/me/earnings': { ask: get(() => '/miners/me/earnings'), scope: 'read', ours: [200], foreign: 'own' },
  'GET /miners/me/earnings/entries': { ask: get(() => '/miners/me/earnings/entries'), scope: 'read', ours: [200], foreign: 'own' },
  'GET /miners/me/payout-address': { ask: get(() => '/miners/me/payout-address'), scope: 'read', ours: [200], foreign: 'own' },
  // No key moves a miner's money; only the hotkey does.
  'PUT /miners/me/payout-address': {
    ask: () => ({ method: 'PUT', target: '/miners/me/payout-address', body: '{"kind":"operator","address":"by mail"}' }),
    scope: 'write',
    ours: [401],
    foreign: 'own',
  },
  'GET /miners/me/payouts': { ask: get(() => '/miners/me/payouts'), scope: 'read', ours: [200], foreign: 'own' },
  'POST /miners/me/payouts': {
    ask: () => ({ method: 'POST', target: '/miners/me/payouts', body: '{}' }),
    scope: 'write',
    ours: [401],
    foreign: 'own',
  },
  'GET /miners': open('/miners'),
  'GET /miners/:hotkey': guarded('GET', `/miners/${newHotkey().ss58}`, undefined, [404, 'not_found']),
  'GET /miners/:hotkey/why': guarded('GET', `/miners/${newHotkey().ss58}/why`, undefined, [404, 'not_found']),
  'GET /audit/agents': open('/audit/agents'),
  'POST /audit/challenges': guarded('POST', '/audit/challenges', '{}', [401, 'invalid_signature']),
  'GET /audit/targets': open('/audit/targets'),
  'GET /audit/transcripts': open('/audit/transcripts'),
  'GET /audit/transcripts/:id': guarded('GET', '/audit/transcripts/chl_0', undefined, [404, 'not_found']),
  'GET /audit/transcripts/:id/opening': guarded('GET', '/audit/transcripts/chl_0/opening', undefined, [404, 'not_found']),
  'PUT /challenges/:id': guarded('PUT', '/challenges/chl_0', 'x', [401, 'invalid_signature']),
  'POST /audit/verdicts': guarded('POST', '/audit/verdicts', '{}', [401, 'invalid_signature']),
  'GET /audit/verdicts': open('/audit/verdicts?slot_from=0&slot_to=1'),
  'GET /miners/:hotkey/verdicts': open(`/miners/${newHotkey().ss58}/verdicts`),
  'POST /audit/observations': guarded('POST', '/audit/observations', '{}', [401, 'invalid_signature']),
  'POST /audit/scores': guarded('POST', '/audit/scores', '{}', [401, 'invalid_signature']),
  'GET /audit/observations': open('/audit/observations?epoch=0'),
  'GET /audit/scores': open('/audit/scores'),
  'GET /epochs': open('/epochs'),
  'GET /epochs/:epoch': guarded('GET', '/epochs/1', undefined, [404, 'not_found']),
  'GET /epochs/:epoch/evidence': guarded('GET', '/epochs/1/evidence', undefined, [404, 'not_found']),
  'GET /epochs/:epoch/judges/:judge/:file': guarded('GET', '/epochs/1/judges/5x/summary', undefined, [404, 'not_found']),
  'PUT /audit/epochs/:epoch/:file': guarded('PUT', '/audit/epochs/1/findings', 'x', [401, 'invalid_signature']),
  'POST /audit/epochs': guarded('POST', '/audit/epochs', '{}', [401, 'invalid_signature']),
  'POST /audit/posted': guarded('POST', '/audit/posted', '{}', [401, 'invalid_signature']),
  'GET /health': open('/health'),
  'POST /internal/cron': guarded('POST', '/internal/cron', undefined, [404, 'not_found']),
  'POST /internal/overrides': guarded('POST', '/internal/overrides', '{}', [404, 'not_found']),
  'POST /internal/fault': guarded('POST', '/internal/fault', '{}', [404, 'not_found']),
};

// ── asking ──

interface Reply {
  status: number;
  headers: Record<string, string>;
  text: string;
  /** The error's code; by the header where there is no body. */
  code: string;
}

/** A UUIDv7. */
const CALL_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Everything that any answer held. */
const seen: string[] = [];
/** Texts that no answer and no log line may hold. */
const secrets: string[] = [];

/** Through node's own client: it may say any host. */
function ask(it: Ask, authorization?: string): Promise<Reply> {
  const url = new URL(edge.api);
  const headers = {
    ...(authorization === undefined ? {} : { authorization }),
    ...(it.body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(it.body)) }),
    host: it.host ?? url.host,
  };
  return new Promise((resolve, reject) => {
    const options = { host: url.hostname, port: url.port, method: it.method, path: it.target, headers, timeout: 30_000 };
    const sent = httpRequest(options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve(noted(it, response.statusCode ?? 0, response.headers as Record<string, string>, Buffer.concat(parts))),
      );
    });
    sent.on('error', reject);
    sent.on('timeout', () => sent.destroy(new Error(`${it.method} ${it.target}: no answer`)));
    sent.end(it.body);
  });
}

function noted(it: Ask, status: number, headers: Record<string, string>, body: Buffer): Reply {
  const text = body.toString('utf8');
  // The one answer that shows a key, once, to who made it.
  if (!(it.method === 'POST' && it.target === '/keys' && status === 201)) seen.push(JSON.stringify(headers), text);
  expect(headers['x-request-id'], `${it.method} ${it.target}`).toMatch(CALL_ID);
  return { status, headers, text, code: status < 400 ? '' : errorOf(it, status, headers, text) };
}

/** Checks the shape of the error on the way. */
function errorOf(it: Ask, status: number, headers: Record<string, string>, text: string): string {
  const where = `${it.method} ${it.target}: ${status} ${text}`;
  if (it.method === 'HEAD') return headers['x-ripcord-error'] ?? '';
  const body = JSON.parse(text) as { error?: { code: string; request_id: string }; code: string; status: number; request_id: string };
  if (it.target.startsWith('/v1/')) {
    expect(body.error, where).toMatchObject({ code: expect.any(String), message: expect.any(String), type: expect.any(String) });
    expect(body.error?.request_id).toBe(headers['x-request-id']);
    return body.error?.code ?? '';
  }
  expect(headers['content-type'], where).toMatch(/^application\/problem\+json/);
  expect(body, where).toMatchObject({ type: `urn:ripcord:error:${body.code}`, status, title: expect.any(String) });
  expect(body.request_id).toBe(headers['x-request-id']);
  return body.code;
}

/** Without what differs in every answer. */
const plain = (reply: Reply): string => reply.text.replaceAll(reply.headers['x-request-id'] ?? '', 'ID');

const bearer = (key: string): string => `Bearer ${key}`;

// ── who asks, and for what ──

async function tenant(): Promise<Tenant> {
  const hotkey = newHotkey();
  const handle = `t${randomBytes(6).toString('hex')}`;
  const { account_id: account } = await new Client({ api: edge.api, hotkey }).signUp(handle);
  const own = new Client({ api: edge.api, hotkey });
  const mint = async (scopes: Scope[]): Promise<string> => (await own.createKey({ name: scopes.join(), scopes })).secret_key;
  const all = await mint(['invoke', 'read', 'write', 'keys']);
  const only = {
    invoke: await mint(['invoke']),
    read: await mint(['read']),
    write: await mint(['write']),
    keys: await mint(['keys']),
  };
  secrets.push(...[all, ...Object.values(only)].map(secretPart));
  return { handle, account, hotkey: hotkey.ss58, client: own, all, only };
}

/** What of a key nobody but its owner may know. */
const secretPart = (key: string): string => key.split('_').at(-1)?.slice(0, 43) ?? key;

let ours: Tenant;
let theirs: Tenant;
/** Whom ours shares with, at times. */
let friend: Tenant;
let things: Things;
let absent: Things;
let publicThings: Things;
let expired: string;
let revoked: string;

beforeAll(async () => {
  [ours, theirs, friend] = await Promise.all([tenant(), tenant(), tenant()]);
  const past = await ours.client.createKey({ name: 'short', expires_at: new Date(Date.now() + 1_500).toISOString() });
  const gone = await ours.client.createKey({ name: 'gone' });
  await ours.client.revokeKey(gone.key_id);
  [expired, revoked] = [past.secret_key, gone.secret_key];
  const made = await deploy({ name: 'private', timeout: 1, min: 0 }, { as: ours.client });
  const shown = await deploy(
    { name: 'public', public: true, timeout: 1, min: 0, env: { TOKEN: 'env-secret-of-a-tenant' } },
    { as: ours.client },
  );
  const { secret_id: secret } = await ours.client.setSecret({ purpose: made.chute, key: 'KEPT', value: 'value-of-a-secret' });
  secrets.push('value-of-a-secret', 'env-secret-of-a-tenant', secretPart(expired), secretPart(revoked));
  const first = await ask({ method: 'GET', target: `/call/${made.chute}/x` }, bearer(ours.all));
  const key = (await ours.client.keys())[0]?.key_id ?? '';
  const common = { call: first.headers['x-request-id'] ?? '', key, secret };
  things = { ...common, id: made.chute, name: made.name, slug: made.name.replace('/', '-'), version: made.version };
  publicThings = { ...common, id: shown.chute, name: shown.name, slug: shown.name.replace('/', '-'), version: shown.version };
  absent = {
    id: `${things.id.slice(0, -1)}${things.id.endsWith('0') ? '1' : '0'}`,
    name: `${ours.handle}/nothing`,
    slug: `${ours.handle}-nothing`,
    call: '01890000-0000-7000-8000-000000000001',
    key: `key_${'0'.repeat(24)}`,
    version: things.version,
    secret: `sec_${'0'.repeat(24)}`,
  };
  await until(
    'the short key has expired',
    async () => (await ask({ method: 'GET', target: '/accounts/me' }, bearer(expired))).status === 401,
  );
});

const { app } = (await import(new URL('../../functions/app.ts', import.meta.url).href)) as {
  app: { routes: { method: string; path: string }[] };
};

test('every route of the edge has a row, and every row a route', () => {
  const routes = new Set(app.routes.map((route) => `${route.method} ${route.path}`));
  expect(Object.keys(MATRIX).toSorted()).toEqual([...routes].toSorted());
});

const rows = Object.entries(MATRIX);
const keyed = rows.flatMap(([route, row]) => (row.scope === null ? [] : [[route, { ...row, scope: row.scope }] as const]));

describe.each(keyed)('%s', (_, row) => {
  test.each([
    ['no key', undefined],
    ['an empty one', 'Bearer '],
    ['another scheme', 'Basic cmlwOnJpcA=='],
    ['a malformed one', 'Bearer rip_nothing'],
    ['one of another service', 'Bearer sk-0123456789abcdef'],
  ])('%s: 401', async (_name, authorization) => {
    for (const what of [things, absent])
      expect(await ask(row.ask(what), authorization)).toMatchObject({ status: 401, code: 'invalid_api_key' });
  });

  test('a key with one character changed: 401', async () => {
    for (const at of [4, 28, 54, 99, 104, 110]) {
      const other = ours.all[at] === 'a' ? 'b' : 'a';
      const changed = ours.all.slice(0, at) + other + ours.all.slice(at + 1);
      expect(await ask(row.ask(things), bearer(changed))).toMatchObject({ status: 401, code: 'invalid_api_key' });
    }
  });

  test('a revoked key: 401; an expired one: 401', async () => {
    for (const what of [things, absent]) {
      expect(await ask(row.ask(what), bearer(revoked))).toMatchObject({ status: 401, code: 'invalid_api_key' });
      expect(await ask(row.ask(what), bearer(expired))).toMatchObject({ status: 401, code: 'key_expired' });
    }
  });

  test('a key without the scope: 403, whether the thing is there or not', async () => {
    const lacking = (Object.keys(ours.only) as Scope[]).filter((scope) => scope !== row.scope && scope !== row.or);
    for (const scope of lacking)
      for (const who of [ours, theirs])
        for (const what of [things, absent])
          expect(await ask(row.ask(what), bearer(who.only[scope])), scope).toMatchObject({ status: 403, code: 'insufficient_scope' });
  });

  test('a key with this scope alone is enough', async () => {
    if (row.ours.length > 0) expect(row.ours).toContain((await ask(row.ask(things), bearer(ours.only[row.scope]))).status);
  });

  test('another tenant: what is ours is as absent as what never was', async () => {
    const [foreign, nothing] = [await ask(row.ask(things), bearer(theirs.all)), await ask(row.ask(absent), bearer(theirs.all))];
    if (row.foreign === 'own') {
      for (const secret of [things.id, things.name, things.call, ours.account]) expect(foreign.text).not.toContain(secret);
      return;
    }
    expect([foreign.status, foreign.code]).toEqual(row.foreign);
    expect(plain(foreign)).toBe(plain(nothing));
    const own = await ask(row.ask(absent), bearer(ours.all));
    expect([own.status, plain(own)]).toEqual([foreign.status, plain(foreign)]);
  });
});

describe.each(rows.filter(([, row]) => row.scope === null))('%s', (_, row) => {
  test.each<[string, () => string | undefined]>([
    ['nobody', () => undefined],
    ['a malformed key', () => 'Bearer x'],
    ['a tenant', () => bearer(theirs.all)],
    ['the owner', () => bearer(ours.all)],
    ['a revoked key', () => bearer(revoked)],
  ])('%s gets what everybody gets', async (_name, authorization) => {
    const reply = await ask(row.ask(things), authorization());
    expect(row.ours).toContain(reply.status);
    if (row.guard !== undefined) expect([reply.status, reply.code]).toEqual(row.guard);
    if (row.board === true) return;
    expect(reply.text).not.toContain(things.id);
    expect(reply.text).not.toContain(things.name);
  });
});

describe('a public chute of another tenant', () => {
  const owners = ['DELETE', 'versions', 'rollback', 'logs', 'metrics', 'shares'];
  const asks = keyed.filter(([route]) => route.includes('/chutes/') && owners.some((word) => route.includes(word)));
  test.each(asks)('%s is for its owner', async (_, row) => {
    expect(await ask(row.ask(publicThings), bearer(theirs.all))).toMatchObject({ status: 403, code: 'insufficient_scope' });
  });

  test('shows its public face only', async () => {
    for (const target of [`/chutes/${publicThings.id}`, `/chutes/${publicThings.name}`]) {
      const reply = await ask({ method: 'GET', target }, bearer(theirs.all));
      expect(reply.status).toBe(200);
      for (const field of ['command', 'env_names', 'last_error', 'waiting_calls']) expect(JSON.parse(reply.text)).not.toHaveProperty(field);
    }
  });
});

describe('secrets and shares of others', () => {
  test.each<[string, () => string]>([
    ['by name', () => things.name],
    ['by id', () => things.id],
    ['that is public', () => publicThings.id],
    ['with more of a path', () => `${theirs.handle}/mine/more`],
    ['with a name that is none', () => `${theirs.handle}/..`],
    ['with no name', () => `${theirs.handle}/`],
    ['of an account', () => ours.account],
  ])('a chute %s takes no secret and is not listed', async (_, purpose) => {
    const body = JSON.stringify({ purpose: purpose(), key: 'TOKEN', value: 'value-of-a-secret' });
    expect(await ask({ method: 'POST', target: '/secrets', body }, bearer(theirs.all))).toMatchObject({
      status: 404,
      code: 'chute_not_found',
    });
    const listed = await ask({ method: 'GET', target: `/secrets?purpose=${encodeURIComponent(purpose())}` }, bearer(theirs.all));
    expect(listed).toMatchObject({ status: 404, code: 'chute_not_found' });
  });

  test.each<[string, object]>([
    ['no value', { key: 'A' }],
    ['a key that is no variable', { key: 'A B', value: 'value-of-a-secret' }],
    ['a value of another kind', { key: 'A', value: { password: 'value-of-a-secret' } }],
    ['a NUL', { key: 'A', value: 'value-of-a-secret\u0000' }],
    ['a value over 32 KiB', { key: 'A', value: 'value-of-a-secret'.repeat(2_000) }],
    ['a registry that is an address', { kind: 'registry', key: 'https://x/', value: { username: 'a', password: 'value-of-a-secret' } }],
    ['a registry without a password', { kind: 'registry', key: 'x', value: { username: 'value-of-a-secret' } }],
    ['an unknown kind', { kind: 'file', key: 'A', value: 'value-of-a-secret' }],
    ['more than is asked', { key: 'A', value: 'value-of-a-secret', public: true }],
  ])('%s: 400, without a word of the value', async (_, part) => {
    const reply = await ask(
      { method: 'POST', target: '/secrets', body: JSON.stringify({ purpose: things.id, ...part }) },
      bearer(ours.all),
    );
    expect([reply.status, reply.code]).toEqual([400, 'invalid_request']);
  });

  test('all secrets of a chute fit in a grant, or the last is refused', async () => {
    const body = (key: string) => JSON.stringify({ purpose: 'filled', key, value: 'x'.repeat(32_768) });
    const set = async (key: string) => (await ask({ method: 'POST', target: '/secrets', body: body(key) }, bearer(ours.all))).status;
    expect([await set('A'), await set('B'), await set('C'), await set('A')]).toEqual([201, 201, 400, 200]);
  });

  test.each<[string, () => string, number]>([
    ['oneself', () => ours.handle, 400],
    ['nobody', () => 'nobodyatall', 404],
    ['an id of nobody', () => `acc_${'0'.repeat(24)}`, 404],
    ['an id', () => friend.account, 200],
  ])('shared with %s', async (_, user, status) => {
    const body = JSON.stringify({ chute_id_or_name: things.id, user_id_or_name: user() });
    for (const target of ['/chutes/share', '/chutes/unshare'])
      expect((await ask({ method: 'POST', target, body }, bearer(ours.all))).status, target).toBe(status);
  });

  test('who a chute is shared with sees its face, shares it with nobody and sets nothing', async () => {
    const body = (user: string) => JSON.stringify({ chute_id_or_name: things.id, user_id_or_name: user });
    await ask({ method: 'POST', target: '/chutes/share', body: body(friend.handle) }, bearer(ours.all));
    const face = await ask({ method: 'GET', target: `/chutes/${things.id}` }, bearer(friend.all));
    expect(face.status).toBe(200);
    for (const field of ['command', 'env_names', 'last_error', 'waiting_calls']) expect(JSON.parse(face.text)).not.toHaveProperty(field);
    for (const [route, row] of keyed.filter(([name]) => name.startsWith('GET /chutes/:id') && /versions|logs|metrics|shares/.test(name)))
      expect(await ask(row.ask(things), bearer(friend.all)), route).toMatchObject({ status: 403, code: 'insufficient_scope' });
    const set = JSON.stringify({ purpose: things.id, key: 'TOKEN', value: 'value-of-a-secret' });
    for (const it of [
      { method: 'POST', target: '/chutes/share', body: body(theirs.handle) },
      { method: 'POST', target: '/secrets', body: set },
      { method: 'GET', target: `/secrets?purpose=${things.id}` },
    ])
      expect(await ask(it, bearer(friend.all)), it.target).toMatchObject({ status: 404, code: 'chute_not_found' });
    expect(await ask({ method: 'GET', target: `/chutes/${things.id}` }, bearer(theirs.all))).toMatchObject({ status: 404 });
    await ask({ method: 'POST', target: '/chutes/unshare', body: body(friend.handle) }, bearer(ours.all));
    expect(await ask({ method: 'GET', target: `/chutes/${things.id}` }, bearer(friend.all))).toMatchObject({ status: 404 });
  });
});

describe('guessed names', () => {
  test.each<[string, (t: Things) => string]>([
    ['an id of nobody', () => `cht_${'0'.repeat(24)}`],
    ['an account', () => ours.account],
    ['a path', () => 'cht_..%2F..%2Fmarket%2F0'],
    ['a NUL', () => 'cht_%00'],
    ['an id in capitals', (t) => `cht_${t.id.slice(4).toUpperCase()}`],
    ['an id and more', (t) => `${t.id}x`],
    ['another kind with the same letters', (t) => `acc_${t.id.slice(4)}`],
    ['a very long one', () => `cht_${'0'.repeat(4_000)}`],
  ])('%s is nothing', async (_, make) => {
    const name = make(things);
    for (const target of [`/chutes/${name}`, `/chutes/${name}/logs`, `/call/${name}/x`]) {
      const reply = await ask({ method: 'GET', target }, bearer(ours.all));
      expect(reply.status, target).toBe(404);
      expect(['chute_not_found', 'not_found'], target).toContain(reply.code);
    }
  });

  test.each(['demo/../other', '', '/', 'a/b/c', `${'a'.repeat(5_000)}/b`, 'A/B', '\u0000/x', '__proto__/constructor', 'constructor'])(
    'a model %j is none',
    async (model) => {
      const reply = await ask({ method: 'POST', target: '/v1/chat/completions', body: JSON.stringify({ model }) }, bearer(ours.all));
      expect([400, 404]).toContain(reply.status);
    },
  );

  test.each([
    '/keys/__proto__',
    '/keys/..%2F..%2F',
    '/calls/%00',
    `/calls/${'a'.repeat(2_000)}`,
    '/calls/%E0%A4%A',
    '/nothing',
    '/v1/nothing',
  ])('%s is nothing', async (target) => {
    const reply = await ask({ method: target.startsWith('/keys') ? 'DELETE' : 'GET', target }, bearer(ours.all));
    expect(reply.status).toBe(404);
  });

  test.each(['x.localhost', '-.localhost', 'a-.localhost', '..localhost', `${'a'.repeat(60)}-b.localhost`])(
    'host %s is nothing',
    async (host) => {
      const reply = await ask({ method: 'GET', target: '/x', host }, bearer(ours.all));
      expect([reply.status, reply.code]).toEqual([404, 'chute_not_found']);
    },
  );
});

describe('the operator’s routes', () => {
  test.each([undefined, 'Bearer ', 'Bearer x', () => bearer(edge.internalToken.slice(1)), () => bearer(ours.all)])(
    'are not there',
    async (given) => {
      const authorization = typeof given === 'function' ? given() : given;
      for (const target of ['/internal/cron', '/internal/fault'])
        expect(await ask({ method: 'POST', target, body: '{}' }, authorization)).toMatchObject({ status: 404, code: 'not_found' });
    },
  );
});

test('after all of it, what is ours is as it was', async () => {
  const { version } = await ours.client.chute(things.id);
  expect(version).toBe(things.version);
  expect((await ours.client.keys()).map((key) => key.key_id)).toContain(things.key);
  expect(chuteConfigSchema.parse(CONFIG).public).toBe(false);
  const listed = await ask({ method: 'GET', target: '/v1/models' });
  expect(listed.text).not.toContain(things.name);
});

test('no answer and no line of the edge’s log holds a secret', () => {
  const password = new URL(edge.databaseUrl).password;
  const all = [...secrets, edge.edgeSecret, edge.internalToken, password];
  const log = readFileSync(edge.edgeLog, 'utf8');
  expect(seen.length).toBeGreaterThan(1_000);
  for (const secret of all) {
    expect(secret.length).toBeGreaterThan(10);
    expect(seen.filter((text) => text.includes(secret))).toEqual([]);
    expect(log.includes(secret), 'in the log').toBe(false);
  }
});
