import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chuteConfigSchema } from '#protocol';
import { readDeploy } from '../../../functions/api/deploy-body.ts';
import { ripcord, SECRET, StandIn } from '../cli/stand-in.ts';
import { DIGEST, Registry } from './stand-in.ts';

const api = new StandIn();
const registry = new Registry();
beforeAll(() => Promise.all([api.listen(), registry.listen()]));
afterAll(() => Promise.all([api.close(), registry.close()]));

function deploy(image: string, ...args: string[]) {
  const cwd = mkdtempSync(join(tmpdir(), 'deploy-'));
  mkdirSync(join(cwd, 'app'));
  writeFileSync(join(cwd, 'app', 'chute.toml'), `name = "app"\nimage = "${image}"\nport = 80\n`);
  api.seen.length = 0;
  api.on('POST /chutes', {
    status: 201,
    json: { chute_id: 'cht_1', name: 'alice/app', slug: 'alice-app', version: 'ab'.repeat(32), created: true },
  });
  const env = { RIPCORD_API_KEY: SECRET, HOME: cwd };
  return ripcord(['--api', api.origin, 'deploy', 'app', '--no-wait', ...args], { env, cwd, input: Buffer.from('b\n') });
}

const sent = () => (JSON.parse(api.asked('POST /chutes')[0]?.body.toString() ?? '{}') as { config?: { image?: string } }).config?.image;

test('ripcord deploy pins the image, and says to what', async () => {
  registry.turn({});
  const image = `${registry.host}/alice/app:1.0`;
  const pinned = `${registry.host}/alice/app@${DIGEST}`;
  const ran = await deploy(image);
  expect(ran).toMatchObject({ code: 0, err: expect.stringContaining(`Pinned ${image} to ${pinned}.\n`) as string });
  expect(sent()).toBe(pinned);
});

test('as who is named, with the password of stdin', async () => {
  registry.turn({ login: 'bob:b' });
  expect(await deploy(`${registry.host}/alice/app:1.0`, '--registry-user', 'bob')).toMatchObject({ code: 0 });
  expect(sent()).toContain(DIGEST);
});

test('nothing is deployed while the registry refuses, or in a dry run', async () => {
  registry.turn({ status: 404 });
  expect(await deploy(`${registry.host}/alice/app:1.0`)).toMatchObject({ code: 1, err: expect.stringContaining('no_image') as string });
  expect(await deploy(`${registry.host}/alice/app:1.0`, '--dry-run')).toMatchObject({ code: 0 });
  expect(api.asked('POST /chutes')).toEqual([]);
});

test.each([
  ['a tag', 'ghcr.io/alice/app:1.0', /pin it by its digest/],
  ['a short name', `nginx@${DIGEST}`, /pin it by its digest/],
  ['no name', 'https://ghcr.io/alice/app', /no name of an image/],
])('the edge refuses %s', (_name, image, words) => {
  const body = JSON.stringify({ config: { name: 'app', image, port: 80 } });
  expect(() => readDeploy(new Headers(), body)).toThrow(
    expect.objectContaining({
      code: 'invalid_config',
      detail: expect.objectContaining({ param: 'image', message: expect.stringMatching(words) as string }) as object,
    }),
  );
});

test('the edge takes an image by its digest, and an adapter without a port', () => {
  const image = `ghcr.io/alice/app@${DIGEST}`;
  for (const more of [{ port: 80 }, { adapter: 'cog' }, { adapter: 'runpod' }])
    expect(readDeploy(new Headers(), JSON.stringify({ config: { name: 'app', image, ...more } })).config).toEqual(
      chuteConfigSchema.parse({ name: 'app', image, ...more }),
    );
});
