import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chuteConfigSchema, type ChuteConfig, type Manifest } from '#protocol';
import { checkPossession, encodePossession, possessionSamples } from '#protocol/challenge/possession.ts';
import { listFiles, NoManifest, openLeaves, treeOf } from '../../../cli/pack/manifest.ts';
import { packFolder } from '../../../cli/pack/pack.ts';
import { NotHeld, Possession } from '../../../miner-agent/possession/possession.ts';
import { Trees } from '../../../miner-agent/possession/trees.ts';
import { StartFailed } from '../../../miner-agent/runtimes/runtime.ts';
import { unpack } from '../../../miner-agent/runtimes/unpack.ts';

let dir = '';
beforeAll(async () => (dir = await mkdtemp(join(tmpdir(), 'ripcord-possession-'))));
afterAll(() => rm(dir, { recursive: true, force: true }));

async function folder(name: string, files: Record<string, string | Uint8Array>): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(dir, name, path, '..'), { recursive: true });
    await writeFile(join(dir, name, path), content);
  }
  return join(dir, name);
}

/** Two MiB and a bit: three blocks of leaves. */
const BIG = Uint8Array.from({ length: 2 * 2 ** 20 + 5 }, (_, k) => (k >> 12) + (k & 7));
const FILES = { 'b.txt': 'b', 'a/z.bin': BIG, 'a/empty': '', 'a.txt': 'a', 'é.txt': 'e' };

describe('a folder', () => {
  test('has the manifest of what is packed of it, before and after', async () => {
    const code = await folder('packed', FILES);
    const { data, manifest } = await packFolder(code);
    const archive = join(dir, 'packed.tgz');
    await writeFile(archive, data);
    await unpack(archive, join(dir, 'unpacked'));
    const tree = await treeOf(join(dir, 'unpacked'));
    expect({ root: tree.root, leaves: tree.leaves }).toEqual(manifest);
    expect(tree.files.map((file) => file.path)).toEqual(['a.txt', 'a/empty', 'a/z.bin', 'b.txt', 'é.txt']);
    expect(tree.blocks).toHaveLength(Math.ceil(tree.leaves / 256));
  });

  test('opens at every kind of leaf', async () => {
    const code = await folder('opened', FILES);
    const tree = await treeOf(code);
    for (let at = 0; at < 4; at++) {
      const ask = { ...tree, seed: `0${at}`.repeat(32) };
      const opening = encodePossession(await openLeaves(code, tree, possessionSamples(ask)));
      expect(checkPossession(ask, opening)).toBeNull();
    }
    await expect(openLeaves(code, tree, [tree.leaves])).rejects.toThrow(NoManifest);
  });

  test('follows links as models are kept, and is bounded', async () => {
    const blobs = await folder('hub', { 'blobs/1': 'weights', 'snapshot/config.json': '{}' });
    await symlink('../blobs/1', join(blobs, 'snapshot/model.bin'));
    expect((await listFiles(join(blobs, 'snapshot'))).map(({ path, bytes }) => [path, bytes])).toEqual([
      ['config.json', 2],
      ['model.bin', 7],
    ]);
    await expect(listFiles(blobs, { files: 2, depth: 9 })).rejects.toThrow('more than 2 files');
    await expect(listFiles(blobs, { files: 9, depth: 0 })).rejects.toThrow('folders in more than 0 folders');
    await symlink('..', join(blobs, 'snapshot/loop'));
    await expect(listFiles(blobs)).rejects.toThrow('folders in more than 32 folders');
    await expect(treeOf(join(dir, 'nowhere'))).rejects.toThrow('it cannot be read (ENOENT)');
    await mkdir(join(dir, 'bare'));
    await expect(treeOf(join(dir, 'bare'))).rejects.toThrow('there is no file in it');
  });
});

const SEED = 'ab'.repeat(32);
const { signal } = new AbortController();
const config = (more: Partial<ChuteConfig> = {}): ChuteConfig => chuteConfigSchema.parse({ name: 'b', command: ['x'], ...more });
const codeOf = (manifest: Manifest) => ({ sha256: 'f'.repeat(64), bytes: 1, manifest });
const none = () => Promise.reject(new Error('no archive'));

describe('an instance', () => {
  async function staged(name: string) {
    const source = await folder(`${name}-source`, FILES);
    const { data, manifest } = await packFolder(source);
    const archive = join(dir, `${name}.tgz`);
    await writeFile(archive, data);
    const codeFolder = join(dir, name);
    await unpack(archive, codeFolder);
    return { codeFolder, manifest, archive: () => Promise.resolve(archive) };
  }

  test('proves its code, even where its program changed it', async () => {
    const { codeFolder, manifest, archive } = await staged('proves');
    const possession = new Possession(null);
    await possession.take({ instance: 'i', spec: { code: codeOf(manifest), config: config() }, codeFolder, archive }, signal, () => {});
    const ask = { ...manifest, seed: SEED };
    expect(checkPossession(ask, await possession.open('i', 'fs', SEED))).toBeNull();
    await writeFile(join(codeFolder, 'a/z.bin'), 'short');
    await rm(join(codeFolder, 'a.txt'));
    expect(checkPossession(ask, await possession.open('i', 'fs', SEED))).toBeNull();
    possession.forget('i');
    await expect(possession.open('i', 'fs', SEED)).rejects.toThrow(NotHeld);
  });

  test('proves it to many at once where its program put a pipe in the place of a file, up to a bound', async () => {
    const { codeFolder, manifest, archive } = await staged('pipes');
    const possession = new Possession(null);
    await possession.take({ instance: 'i', spec: { code: codeOf(manifest), config: config() }, codeFolder, archive }, signal, () => {});
    await rm(join(codeFolder, 'a/z.bin'));
    execFileSync('mkfifo', [join(codeFolder, 'a/z.bin')]);
    const seeds = Array.from({ length: 12 }, (_, k) => String(k).padStart(64, '0'));
    const opened = await Promise.allSettled(seeds.map((seed) => possession.open('i', 'fs', seed)));
    const right = opened.filter(
      (o, k) => o.status === 'fulfilled' && checkPossession({ ...manifest, seed: seeds[k] ?? '' }, o.value) === null,
    );
    const refused = opened.flatMap((o) => (o.status === 'rejected' ? [String(o.reason)] : []));
    expect([right.length, refused]).toEqual([8, Array(4).fill('NotHeld: too many challenges at once')]);
    expect(checkPossession({ ...manifest, seed: SEED }, await possession.open('i', 'fs', SEED))).toBeNull();
  });

  test('sends nothing where the packed code is another too', async () => {
    const { codeFolder, manifest } = await staged('sends');
    const other = await folder('other', { 'a.txt': 'another version' });
    const archive = join(dir, 'other.tgz');
    await writeFile(archive, (await packFolder(other)).data);
    const possession = new Possession(null);
    const holding = {
      instance: 'i',
      spec: { code: codeOf(manifest), config: config() },
      codeFolder,
      archive: () => Promise.resolve(archive),
    };
    await possession.take(holding, signal, () => {});
    await writeFile(join(codeFolder, 'a/z.bin'), 'short');
    await expect(possession.open('i', 'fs', SEED)).rejects.toThrow('the packed code is not what the manifest names');
  });

  test.each([
    ['root', (m: Manifest) => ({ ...m, root: '0'.repeat(64) })],
    ['number of leaves', (m: Manifest) => ({ ...m, leaves: m.leaves + 1 })],
  ])('is not started on a manifest with another %s', async (what, wrong) => {
    const { codeFolder, manifest, archive } = await staged(what.replaceAll(' ', '-'));
    const spec = { code: codeOf(wrong(manifest)), config: config() };
    const taken = new Possession(null).take({ instance: 'i', spec, codeFolder, archive }, signal, () => {});
    await expect(taken).rejects.toThrow(/^the code folder is not what the version's manifest names/);
    await expect(taken).rejects.toThrow(StartFailed);
  });

  test('of a version without a manifest starts and has nothing to prove', async () => {
    const possession = new Possession(null);
    const spec = { code: { sha256: 'f'.repeat(64), bytes: 1 }, config: config() };
    expect(await possession.take({ instance: 'i', spec, codeFolder: dir, archive: none }, signal, () => {})).toBeNull();
    await expect(possession.open('i', 'fs', SEED)).rejects.toThrow('it has no manifest here');
  });
});

describe('weights', () => {
  const take = (possession: Possession, weights: NonNullable<ChuteConfig['weights']>, codeFolder: string | null = null) =>
    possession.take({ instance: 'i', spec: { code: null, config: config({ weights }) }, codeFolder, archive: none }, signal, () => {});

  test('are found in the code, else where the operator keeps them', async () => {
    await folder('models/tiny', { 'model.bin': BIG });
    await folder('with-code/tiny', { 'model.bin': BIG });
    const { root, leaves } = await treeOf(join(dir, 'models/tiny'));
    const weights = { path: 'tiny', root, leaves };
    const possession = new Possession(join(dir, 'models'));
    expect(await take(possession, weights)).toBe(join(dir, 'models/tiny'));
    expect(checkPossession({ ...weights, seed: SEED }, await possession.open('i', 'weights', SEED))).toBeNull();
    await expect(possession.open('i', 'fs', SEED)).rejects.toThrow('its code does not run here');
    expect(await take(possession, weights, join(dir, 'with-code'))).toBe(join(dir, 'with-code/tiny'));
    await expect(take(new Possession(null), weights)).rejects.toThrow('the weights tiny are not on this machine');
    await expect(take(possession, { ...weights, root: '0'.repeat(64) })).rejects.toThrow(/^the folder of weights tiny is not what/);
    await expect(take(possession, { ...weights, path: '../models/tiny' })).rejects.toThrow('leads out');
    await expect(take(possession, { ...weights, path: '/etc' })).rejects.toThrow('leads out');
  });

  test('that changed since are not sent, and are read again for the next start', async () => {
    const at = await folder('models/changing', { 'model.bin': BIG });
    const { root, leaves } = await treeOf(at);
    const weights = { path: 'changing', root, leaves };
    const possession = new Possession(join(dir, 'models'));
    await take(possession, weights);
    await writeFile(join(at, 'model.bin'), 'another');
    await utimes(join(at, 'model.bin'), 1, 1);
    await expect(possession.open('i', 'weights', SEED)).rejects.toThrow('the weights changed since it started');
    await expect(take(possession, weights)).rejects.toThrow(StartFailed);
  });

  test('are read once for many instances', async () => {
    const at = await folder('models/once', { 'model.bin': BIG });
    const { root, leaves } = await treeOf(at);
    const possession = new Possession(join(dir, 'models'));
    const said: string[] = [];
    const spec = { code: null, config: config({ weights: { path: 'once', root, leaves } }) };
    for (const instance of ['a', 'b'])
      await possession.take({ instance, spec, codeFolder: null, archive: none }, signal, (detail) => said.push(`${instance} ${detail}`));
    expect(said.filter((line) => line.startsWith('a '))).toContain('a checking weights 100 %');
    expect(said.filter((line) => line.startsWith('b '))).toEqual(['b checking weights']);
  });

  test('of sixteen folders are remembered, and the one unused the longest is not', async () => {
    const trees = new Trees();
    const at = await Promise.all(Array.from({ length: 17 }, (_, k) => folder(`many/${k}`, { 'model.bin': `${k}` })));
    const read: string[] = [];
    const look = (path: string) => trees.of(path, signal, () => read.push(path));
    for (const path of at.slice(0, 16)) await look(path);
    await look(at[0] ?? '');
    await look(at[16] ?? '');
    expect(read).toEqual(at);
    await look(at[0] ?? '');
    await look(at[1] ?? '');
    expect(read.slice(17)).toEqual([at[1]]);
  });

  test('stop being read when the start is given up', async () => {
    const at = await folder('models/given-up', { 'model.bin': BIG });
    const ending = new AbortController();
    ending.abort(new StartFailed('scaled_down'));
    await expect(treeOf(at, ending.signal)).rejects.toThrow('scaled_down');
  });
});
