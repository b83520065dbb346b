import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { StartFailed } from '../../../miner-agent/runtimes/runtime.ts';
import { unpack } from '../../../miner-agent/runtimes/unpack.ts';
import { packTar } from './tar-double.ts';
import type { TarEntry } from './tar-double.ts';

async function tryUnpack(bytes: Uint8Array, limits?: { bytes: number; files: number }) {
  const folder = mkdtempSync(join(tmpdir(), 'unpack-'));
  const archive = join(folder, 'a.tgz');
  writeFileSync(archive, bytes);
  const into = join(folder, 'in', 'code');
  const error = await unpack(archive, into, limits).then(
    () => null,
    (e: unknown) => e,
  );
  return { folder, into, error };
}

const packed = (entries: TarEntry[]) => gzipSync(packTar(entries));

describe('unpack', () => {
  it('unpacks files and folders', async () => {
    const { into, error } = await tryUnpack(
      packed([
        { name: 'src/', type: '5' },
        { name: 'src/main.mjs', body: 'hello' },
        { name: './top', body: 'x' },
      ]),
    );
    expect(error).toBeNull();
    expect(readFileSync(join(into, 'src/main.mjs'), 'utf8')).toBe('hello');
    expect(readFileSync(join(into, 'top'), 'utf8')).toBe('x');
  });

  const attacks: [string, TarEntry[], RegExp][] = [
    ['a path that leads out', [{ name: '../out', body: 'x' }], /leads out/],
    ['a path that leads out from inside', [{ name: 'a/../../out', body: 'x' }], /leads out/],
    ['an absolute path', [{ name: '/tmp/ripcord-unpack-attack', body: 'x' }], /absolute/],
    ['a path of another system', [{ name: '..\\out', body: 'x' }], /absolute|plain/],
    [
      'a symbolic link',
      [
        { name: 'l', type: '2', link: '/etc' },
        { name: 'l/out', body: 'x' },
      ],
      /SymbolicLink/,
    ],
    ['a hard link', [{ name: 'l', type: '1', link: '/etc/passwd' }], /Link/],
    ['a device', [{ name: 'd', type: '3' }], /CharacterDevice/],
    ['a pipe', [{ name: 'p', type: '6' }], /FIFO/],
    [
      'a path too long',
      [
        { name: `${'a/'.repeat(49)}b`, body: 'x', prefix: 'c/'.repeat(70) },
        { name: 'x'.repeat(99), body: 'x', prefix: 'y/'.repeat(77), longName: `${'z'.repeat(600)}` },
      ],
      /too long/,
    ],
  ];
  it.each(attacks)('refuses %s and writes nothing', async (_what, entries, why) => {
    const { folder, error } = await tryUnpack(packed([{ name: 'good', body: 'x' }, ...entries]));
    expect(error).toBeInstanceOf(StartFailed);
    expect(String(error)).toMatch(why);
    expect(readdirSync(folder)).toEqual(['a.tgz']);
    expect(existsSync('/tmp/ripcord-unpack-attack')).toBe(false);
  });

  it('refuses a small archive of very much', async () => {
    const { folder, error } = await tryUnpack(packed([{ name: 'zeros', body: new Uint8Array(8 * 1024 * 1024) }]), {
      bytes: 1024 * 1024,
      files: 10,
    });
    expect(String(error)).toMatch(/more than 1048576 bytes/);
    expect(readdirSync(folder)).toEqual(['a.tgz']);
  });

  it('refuses too many files', async () => {
    const { error } = await tryUnpack(packed(Array.from({ length: 11 }, (_, i) => ({ name: `f${i}`, body: '' }))), {
      bytes: 1024 * 1024,
      files: 10,
    });
    expect(String(error)).toMatch(/more than 10 files/);
  });

  it.each([
    ['what is no gzip', Buffer.from('hello')],
    ['what is no tar', gzipSync(Buffer.alloc(2048, 7))],
    ['what is cut short', packed([{ name: 'a', body: 'x'.repeat(5000) }]).subarray(0, 60)],
  ])('refuses %s', async (_what, bytes) => {
    expect((await tryUnpack(bytes)).error).toBeInstanceOf(StartFailed);
  });
});
