/** What the edge of today says to an agent of the oldest version served, read with the schemas of that time. */
import { expect, test } from 'vitest';
import { SCALING, chuteConfigSchema, refusalCodeSchema, type Down, type Grant, type VersionSpec } from '#protocol';
import { inVersion } from '../../../functions/miner/older.ts';
import { downSchema1 } from '../../harness/version-1.ts';
import { World } from './world.ts';

const spec: VersionSpec = {
  chute: 'cht_1',
  name: 'demo/x',
  account: 'demo',
  version: 'ab'.repeat(32),
  config: chuteConfigSchema.parse({
    name: 'x',
    command: ['x'],
    entrypoint: ['a'],
    args: ['b'],
    adapter: 'cog',
    egress: ['hf.co'],
    memory_mb: 64,
    shm_mb: 1,
    disk_gb: 1,
    scale_up_after: 1,
    idle_after: 1,
    bounty: 1,
    weights: { path: 'm', root: 'cd'.repeat(32), leaves: 1 },
  }),
  code: { sha256: 'ef'.repeat(32), bytes: 1, manifest: { root: 'cd'.repeat(32), leaves: 1 } },
};
const grant: Grant = { type: 'grant', ref: 'r', instance: 'ins_1', deadlineMs: 1, spec, sealed: 'AA', bounty: 5 };

test('a grant with every field there is can be read, and says the same of what is known', () => {
  expect(Object.keys(spec.config).sort(), 'a new field: does an agent of version 1 have to be spared it?').toEqual(
    Object.keys(chuteConfigSchema.shape)
      .filter((key) => !['image', 'port', 'gpu', 'price'].includes(key))
      .sort(),
  );
  const told = downSchema1.parse(inVersion(1, grant));
  expect(told).toMatchObject({
    type: 'grant',
    ref: 'r',
    instance: 'ins_1',
    spec: { name: 'demo/x', config: { name: 'x', command: ['x'] } },
  });
  expect(JSON.stringify(inVersion(1, grant))).not.toMatch(/sealed|bounty|egress|weights|manifest/);
  expect(inVersion(2, grant)).toEqual(grant);
  expect(
    SCALING.every((field) => field in grant.spec.config),
    'the grant itself is left as it is',
  ).toBe(true);
});

test.each(refusalCodeSchema.options.map((code) => [code]))('the refusal %s is one it knows', (code) => {
  const refusal: Down = { type: 'refusal', ref: 'r', code, retryAfterMs: 7 };
  expect(downSchema1.parse(inVersion(1, refusal))).toMatchObject({ ref: 'r', retryAfterMs: 7 });
  expect(inVersion(2, refusal)).toBe(refusal);
});

test('a session keeps its version, through a hibernation too', () => {
  const world = new World();
  world.do(world.core.onLogin('agt_1', 'hotkey', 'name', world.now, 1));
  world.hello();
  expect(world.told.at(-1)).toMatchObject({ type: 'welcome', servedUntil: Date.parse('2027-07-01'), newest: expect.any(String) });
  const refuse = (ref: string) => {
    world.claim(ref);
    world.do(world.core.onClaimAnswer(ref, { kind: 'refusal', code: 'not_yet', retryAfterMs: 0 }, world.now));
    return world.told.at(-1);
  };
  expect(refuse('a')).toMatchObject({ code: 'taken' });
  const { epoch } = world.core;
  world.crash();
  world.core.onWake(epoch, true, world.now, 1);
  expect(refuse('b')).toMatchObject({ code: 'taken' });
  world.login();
  world.hello();
  expect(world.told.at(-1)).not.toHaveProperty('servedUntil');
  expect(refuse('c')).toMatchObject({ code: 'not_yet' });
});
