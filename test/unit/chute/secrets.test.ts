import { describe, expect, test } from 'vitest';
import { LIMITS, NO_SECRETS, chuteConfigSchema, grantSchema, type Secrets } from '#protocol';
import { DEPLOY_BYTES } from '../../../functions/api/deploy-body.ts';
import { NOTHING_ATTACHED, type Attached } from '../../../functions/secrets/attached.ts';
import { SECRET_BOUNDS } from '../../../functions/secrets/bounds.ts';
import { Unopened, openSecret, rewrap, sealSecret, type SecretKind, type SecretOf } from '../../../functions/secrets/envelope.ts';
import { grantBytes, rewrapped, sealForGrant, type Granted, type SecretRow } from '../../../functions/secrets/grant.ts';
import { parseKeys, ringOf, type Ring } from '../../../functions/secrets/ring.ts';
import { secretsOf } from '../../../miner-agent/identity/secrets.ts';
import { makeSessionKeys } from '../../../miner-agent/identity/session.ts';
import { StartFailed } from '../../../miner-agent/runtimes/runtime.ts';
import { World, agent, spec } from './world.ts';

const EDGE_SECRET = '5e'.repeat(32);
const [OLD, NEW] = [`old:${'0a'.repeat(32)}`, `new:${'0b'.repeat(32)}`];
const OF: SecretOf = { owner: 'acc_owner', chute: 'cht_test', kind: 'env', key: 'TOKEN' };
const TEXT = 'a value that nobody reads ü';

describe('keys of the ring', () => {
  test.each([
    [undefined, []],
    ['', []],
    [`${NEW},${OLD}`, ['new', 'old']],
    [` ${NEW} , ${OLD} `, ['new', 'old']],
    [`${NEW},`, null],
    [`${NEW},${NEW}`, null],
    [`edge:${'0a'.repeat(32)}`, null],
    ['new:0a', null],
    [`New:${'0a'.repeat(32)}`, null],
  ])('%s', (text, ids) => {
    expect(parseKeys(text)?.map(({ id }) => id) ?? null).toEqual(ids);
  });

  test('the first wraps, all open; what a key that was taken away wraps stays shut', async () => {
    const plain = await ringOf({ EDGE_SECRET });
    const sealed = await sealSecret(plain, OF, TEXT);
    expect(sealed.by).toBe('edge');
    const both = await ringOf({ EDGE_SECRET, SECRETS_KEYS: `${NEW},${OLD}` });
    expect((await sealSecret(both, OF, TEXT)).by).toBe('new');
    const fresh = await rewrap(both, OF, sealed);
    expect(fresh).toMatchObject({ by: 'new', box: sealed.box });
    expect(await rewrap(both, OF, fresh ?? sealed)).toBeNull();
    expect(await openSecret(both, OF, fresh ?? sealed)).toBe(TEXT);
    expect(await openSecret(both, OF, sealed)).toBe(TEXT);
    await expect(openSecret(plain, OF, fresh ?? sealed)).rejects.toThrow(Unopened);
    const other = await ringOf({ EDGE_SECRET: '5f'.repeat(32) });
    await expect(openSecret(other, OF, sealed)).rejects.toThrow(Unopened);
  });
});

describe('a row that was changed opens nowhere', async () => {
  const ring = await ringOf({ EDGE_SECRET });
  const sealed = await sealSecret(ring, OF, TEXT);
  const other = await sealSecret(ring, OF, 'another value');
  test.each<[string, Partial<SecretOf>, Partial<typeof sealed>]>([
    ['another account', { owner: 'acc_other' }, {}],
    ['another chute', { chute: 'cht_other' }, {}],
    ['another kind', { kind: 'registry' }, {}],
    ['another name', { key: 'OTHER' }, {}],
    ['the box of another secret', {}, { box: other.box }],
    ['the key of another secret', {}, { wrapped: other.wrapped }],
    ['a key that is not in the ring', {}, { by: 'new' }],
    ['no base64', {}, { box: '!' }],
    ['nothing', {}, { box: '', wrapped: '' }],
  ])('%s', async (_, of, part) => {
    await expect(openSecret(ring, { ...OF, ...of }, { ...sealed, ...part })).rejects.toThrow(Unopened);
  });

  test('the same value twice is not seen to be the same', async () => {
    const again = await sealSecret(ring, OF, TEXT);
    expect(new Set([sealed.box, again.box]).size).toBe(2);
    expect(new Set([sealed.wrapped, again.wrapped]).size).toBe(2);
  });
});

async function row(ring: Ring, kind: SecretKind, key: string, text: string): Promise<SecretRow> {
  return { kind, key, sealed: await sealSecret(ring, { owner: 'acc_owner', chute: 'cht_test', kind, key }, text) };
}

describe('a grant', async () => {
  const ring = await ringOf({ EDGE_SECRET });
  const rows = [
    await row(ring, 'env', 'TOKEN', TEXT),
    await row(ring, 'registry', 'ghcr.io', JSON.stringify({ username: 'alice', password: 'pass' })),
  ];
  const keys = makeSessionKeys();
  const to: Granted = { owner: 'acc_owner', chute: 'cht_test', instance: 'ins_1', agent: 'agt_1', sealKey: keys.sealKey };

  test('is opened by the agent it is for, and by nobody else, for nothing else', async () => {
    const sealed = await sealForGrant(ring, rows, to);
    const expected: Secrets = { env: { TOKEN: TEXT }, registries: [{ server: 'ghcr.io', username: 'alice', password: 'pass' }] };
    expect(await secretsOf({ sealed, instance: 'ins_1' }, 'agt_1', keys)).toEqual(expected);
    expect(await secretsOf({ instance: 'ins_1' }, 'agt_1', keys)).toEqual(NO_SECRETS);
    const refused: [string, string, string, typeof keys][] = [
      [sealed, 'ins_2', 'agt_1', keys],
      [sealed, 'ins_1', 'agt_2', keys],
      [sealed, 'ins_1', 'agt_1', makeSessionKeys()],
      [`${sealed.slice(0, -4)}AAAA`, 'ins_1', 'agt_1', keys],
      [sealed.slice(0, 40), 'ins_1', 'agt_1', keys],
      ['', 'ins_1', 'agt_1', keys],
    ];
    for (const [text, instance, name, by] of refused) {
      const failure = await secretsOf({ sealed: text, instance }, name, by).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(StartFailed);
      expect(String(failure)).not.toContain(TEXT.slice(0, 7));
    }
  });

  test('is sealed anew every time', async () => {
    expect(await sealForGrant(ring, rows, to)).not.toBe(await sealForGrant(ring, rows, to));
  });

  test.each(['00'.repeat(32), '', 'ab', `${'00'.repeat(31)}80`])('is not sealed for a key that is none: %s', async (sealKey) => {
    await expect(sealForGrant(ring, rows, { ...to, sealKey })).rejects.toThrow();
  });

  test('printed session keys show no secret', () => {
    expect(JSON.stringify(keys)).not.toContain(Buffer.from(keys.sealSecret()).toString('base64url'));
  });

  test('rows under an older key are wrapped by the newest', async () => {
    const newer = await ringOf({ EDGE_SECRET, SECRETS_KEYS: NEW });
    const of = { owner: 'acc_owner', chute: 'cht_test' };
    const fresh = await rewrapped(newer, rows, of);
    expect(fresh?.map(({ sealed }) => sealed.by)).toEqual(['new', 'new']);
    expect(await rewrapped(newer, fresh ?? [], of)).toBeNull();
  });
});

describe('what fits', async () => {
  const ring = await ringOf({ EDGE_SECRET });
  const to: Granted = { owner: 'acc_owner', chute: 'cht_test', instance: 'ins_1', agent: 'agt_1', sealKey: makeSessionKeys().sealKey };
  /** Secrets that take exactly so many bytes, some of them written in two or six. */
  const filled = (bytes: number): [string, string][] => {
    const [first, second] = ['"'.repeat(16_000), '\u0001ü'.repeat(3_000)];
    const rest = bytes - grantBytes('env', 'FIRST', first) - grantBytes('env', 'SECOND', second) - grantBytes('env', 'REST', '');
    return [
      ['FIRST', first],
      ['SECOND', second],
      ['REST', 'x'.repeat(rest)],
    ];
  };
  const seal = async (bytes: number): Promise<string> =>
    sealForGrant(ring, await Promise.all(filled(bytes).map(([key, text]) => row(ring, 'env', key, text))), to);

  test('secrets at their bound fill a grant, one byte over trips LIMITS.sealedChars', async () => {
    const sealed = await seal(SECRET_BOUNDS.grantBytes + 1);
    expect(sealed.length).toBeLessThanOrEqual(LIMITS.sealedChars);
    expect(LIMITS.sealedChars - sealed.length).toBeLessThan(8);
    await expect(seal(SECRET_BOUNDS.grantBytes + 8)).rejects.toThrow(RangeError);
    expect(grantSchema.shape.sealed.safeParse('x'.repeat(LIMITS.sealedChars)).success).toBe(true);
    expect(grantSchema.shape.sealed.safeParse('x'.repeat(LIMITS.sealedChars + 1)).success).toBe(false);
  });

  test('the largest deploy with the fullest secrets is one control message', () => {
    const config = chuteConfigSchema.parse({ name: 'a', command: ['x'], cords: Array.from({ length: 64 }, (_, i) => ({ path: `/${i}` })) });
    const grown = JSON.stringify({ ...spec('a'), config }).length - JSON.stringify({ config: { name: 'a', command: ['x'] } }).length;
    const most =
      DEPLOY_BYTES + grown + LIMITS.sealedChars + JSON.stringify({ type: 'grant', ref: 'x'.repeat(64), instance: 'x'.repeat(64) }).length;
    expect(most).toBeLessThan(LIMITS.controlBytes);
  });
});

describe('the chute', async () => {
  const ring = await ringOf({ EDGE_SECRET });
  const secrets = [await row(ring, 'env', 'TOKEN', TEXT)];
  const told = (revision: number, part: Partial<Attached> = {}): Attached => ({ revision, secrets: [], shared: [], ...part });
  const deployed = (): World => {
    const world = new World();
    world.do(world.core.deploy({ spec: spec('a', { min: 1 }), slug: 'owner-demo' }, world.now));
    return world;
  };
  const attach = (world: World, what: Attached) => world.do(world.core.attach(what, world.now));
  const claim = (world: World, sealKey?: string) => {
    const facts = { ...agent('m1'), ...(sealKey === undefined ? {} : { sealKey }) };
    return world.do(world.core.claim(facts, 'a'.repeat(64), 'ins_fresh', world.now));
  };

  test('knows the newest of what it is told, in whatever order it comes, and after an eviction', () => {
    const world = deployed();
    expect(attach(world, told(2, { shared: ['acc_2'] }))).toBe(true);
    attach(world, told(1, { shared: ['acc_1'] }));
    expect(world.core.snapshot(world.now)?.shared).toEqual(['acc_2']);
    world.rebuild();
    expect(world.core.snapshot(world.now)?.shared).toEqual(['acc_2']);
    attach(world, told(3));
    expect(world.core.snapshot(world.now)).not.toHaveProperty('shared');
  });

  test('that is not there is told nothing; deployed, it learns with its version; deleted, it forgets', () => {
    const world = new World();
    expect(attach(world, told(1, { secrets }))).toBe(false);
    expect(world.core.attached).toBe(NOTHING_ATTACHED);
    world.do(world.core.deploy({ spec: spec('a'), slug: 'owner-demo', attached: told(1, { secrets, shared: ['acc_2'] }) }, world.now));
    expect(world.core.attached.secrets).toEqual(secrets);
    world.do(world.core.remove(world.now));
    expect([...world.rows.keys()].filter((key) => key.startsWith('attached'))).toEqual([]);
    expect(world.core.attached).toBe(NOTHING_ATTACHED);
  });

  test('is described without its secrets', () => {
    const world = deployed();
    attach(world, told(1, { secrets, shared: ['acc_2'] }));
    expect(JSON.stringify(world.core.describe(world.now))).not.toContain(secrets[0]?.sealed.box);
    expect(world.core.describe(world.now)?.shared).toEqual(['acc_2']);
  });

  test('with secrets does not start on an agent whose key nobody knows', () => {
    const world = deployed();
    attach(world, told(1, { secrets }));
    expect(claim(world)).toMatchObject({ kind: 'refusal', code: 'not_eligible' });
    expect(claim(world, 'ab'.repeat(32))).toMatchObject({ kind: 'grant', instance: 'ins_fresh' });
  });

  test('takes a grant back that could not be handed over, and not an instance that starts', () => {
    const world = deployed();
    claim(world);
    world.do(world.core.withdraw('ins_fresh', world.now));
    expect(world.core.describe(world.now)?.instances).toEqual([]);
    expect(claim(world)).toMatchObject({ kind: 'grant' });
    const report = { instance: 'ins_fresh', chute: 'cht_test', version: 'a'.repeat(64), state: 'starting' as const, detail: '' };
    world.do(world.core.report(agent('m1'), report, 0, world.now));
    world.do(world.core.withdraw('ins_fresh', world.now));
    expect(world.core.describe(world.now)?.instances).toHaveLength(1);
  });
});
