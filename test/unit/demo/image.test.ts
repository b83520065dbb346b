import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildImageChute } from '../../../dev/chutes/image/build.ts';
import { type Program, startProgram } from './program.ts';

let folder: string;
let program: Program;

// Far from node_modules: what the program needs must be in its folder.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'image-chute-'));
  await buildImageChute(folder);
  program = await startProgram(folder, 'server.mjs');
});
afterAll(async () => {
  await program.stop();
  await rm(folder, { recursive: true });
});

const send = (path: string, body: Uint8Array): Promise<Response> => fetch(program.url + path, { method: 'POST', body: Buffer.from(body) });

/** A white ground with a red rectangle, a blue disc and a small green triangle. */
const shapes = sharp(
  Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="400" height="200"><rect width="400" height="200" fill="white"/>
    <rect x="20" y="40" width="120" height="80" fill="#d22"/><circle cx="250" cy="100" r="50" fill="#22d"/>
    <path d="M330 180 h50 l-25 -50 z" fill="#2a4"/></svg>`),
);
/** Left half black, right half orange. */
const halves = sharp({ create: { width: 60, height: 30, channels: 3, background: '#f80' } }).composite([
  { input: { create: { width: 30, height: 30, channels: 3, background: '#000' } }, left: 0, top: 0 },
]);

async function transformed(query: string, body: Uint8Array): Promise<{ type: string | null; bytes: Buffer }> {
  const reply = await send(`/transform?${query}`, body);
  expect(reply.status).toBe(200);
  return { type: reply.headers.get('content-type'), bytes: Buffer.from(await reply.arrayBuffer()) };
}

async function pixelAt(picture: Buffer, x: number, y: number): Promise<number[]> {
  const { data, info } = await sharp(picture).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (y * info.width + x) * 4;
  return [...data.subarray(at, at + 3)];
}

async function sizeOf(picture: Buffer): Promise<[number | undefined, number | undefined, string | undefined]> {
  const { width, height, format } = await sharp(picture).metadata();
  return [width, height, format];
}

describe('transform', () => {
  test('turns twice inverted or flipped into the same PNG pixels', async () => {
    const picture = await halves.clone().png().toBuffer();
    const original = await sharp(picture).ensureAlpha().raw().toBuffer();
    for (const op of ['op=invert', 'op=flip', 'op=rotate&angle=180']) {
      const once = (await transformed(op, picture)).bytes;
      const twice = (await transformed(op, once)).bytes;
      expect(await sharp(twice).ensureAlpha().raw().toBuffer()).toEqual(original);
      expect(await sharp(once).ensureAlpha().raw().toBuffer()).not.toEqual(original);
    }
  });

  test('rotates clockwise', async () => {
    const picture = await halves.clone().png().toBuffer();
    const quarter = (await transformed('op=rotate', picture)).bytes;
    expect(await sizeOf(quarter)).toEqual([30, 60, 'png']);
    expect(await pixelAt(quarter, 15, 5)).toEqual([0, 0, 0]);
    expect(await pixelAt(quarter, 15, 55)).toEqual([255, 136, 0]);
    const back = (await transformed('op=rotate&angle=270', quarter)).bytes;
    expect(await sharp(back).raw().toBuffer()).toEqual(await sharp(picture).ensureAlpha().raw().toBuffer());
  });

  test('makes gray of colours and lines of edges', async () => {
    const picture = await halves.clone().png().toBuffer();
    const [red, green, blue] = await pixelAt((await transformed('op=grayscale', picture)).bytes, 45, 10);
    expect([green, blue]).toEqual([red, red]);
    const edges = (await transformed('op=edges', picture)).bytes;
    expect(await pixelAt(edges, 30, 15)).toEqual([255, 255, 255]);
    expect(await pixelAt(edges, 10, 15)).toEqual([0, 0, 0]);
  });

  test('shrinks to the asked side, keeps the shape, never enlarges', async () => {
    const picture = await shapes.clone().jpeg().toBuffer();
    const small = await transformed('op=thumbnail&size=64', picture);
    expect([small.type, await sizeOf(small.bytes)]).toEqual(['image/jpeg', [64, 32, 'jpeg']]);
    const same = await transformed('op=thumbnail&size=1024', picture);
    expect(await sizeOf(same.bytes)).toEqual([400, 200, 'jpeg']);
  });

  test('reads every kind of PNG and JPEG, and writes either', { timeout: 30_000 }, async () => {
    const kinds = [
      shapes.clone().png({ palette: true, colours: 16 }),
      shapes.clone().png({ progressive: true }),
      shapes.clone().grayscale().png(),
      shapes.clone().toColourspace('rgb16').png(),
      shapes.clone().jpeg({ progressive: true }),
      shapes.clone().jpeg({ chromaSubsampling: '4:4:4' }),
      shapes.clone().grayscale().jpeg(),
    ];
    for (const kind of kinds) {
      const picture = await kind.toBuffer();
      expect((await transformed('op=invert&format=jpeg', picture)).type).toBe('image/jpeg');
      expect(await sizeOf((await transformed('op=invert&format=png', picture)).bytes)).toEqual([400, 200, 'png']);
    }
  });
});

test('labels name colours, shapes and places, and the method', async () => {
  for (const picture of [await shapes.clone().png().toBuffer(), await shapes.clone().jpeg({ quality: 95 }).toBuffer()]) {
    const reply = (await (await send('/label', picture)).json()) as {
      method: string;
      labels: { label: string; box: [number, number, number, number] }[];
    };
    expect(reply).toMatchObject({ width: 400, height: 200, method: expect.stringContaining('Otsu') as string });
    expect(reply.labels.map(({ label }) => label)).toEqual(['red rectangle', 'blue ellipse', 'green triangle']);
    const boxes = [
      [20, 40, 120, 80],
      [200, 50, 100, 100],
      [330, 130, 50, 50],
    ];
    reply.labels.forEach(({ box }, at) => box.forEach((side, part) => expect(Math.abs(side - (boxes[at]?.[part] ?? 0))).toBeLessThan(6)));
  }
});

test('a plain picture has no labels', async () => {
  const plain = await sharp({ create: { width: 50, height: 50, channels: 3, background: '#888' } })
    .png()
    .toBuffer();
  expect(await (await send('/label', plain)).json()).toMatchObject({ labels: [] });
});

describe('hostile input', () => {
  const chunk = (name: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  /** A PNG that says its size and brings `pixels`, whatever they are. */
  const png = (width: number, height: number, interlace: number, pixels: Buffer): Buffer => {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    header.set([8, 6, 0, 0, interlace], 8);
    const start = Buffer.from('89504e470d0a1a0a', 'hex');
    return Buffer.concat([start, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
  };
  const bomb = deflateSync(Buffer.alloc(200 * 1024 * 1024));

  const refused = async (body: Uint8Array, status: number, code: string, path = '/label'): Promise<void> => {
    const reply = await send(path, body);
    expect(await reply.json()).toMatchObject({ error: { code, message: expect.any(String) as string } });
    expect(reply.status).toBe(status);
  };

  test('is refused by kind', async () => {
    const whole = await shapes.clone().png().toBuffer();
    const photo = await shapes.clone().jpeg().toBuffer();
    await refused(new Uint8Array(), 400, 'empty_body');
    await refused(Buffer.from('GIF89a and so on'), 415, 'unknown_format');
    await refused(whole.subarray(0, 20), 400, 'broken_image');
    await refused(whole.subarray(0, whole.length >> 1), 400, 'broken_image');
    await refused(Buffer.concat([whole.subarray(0, 60), randomBytes(200)]), 400, 'broken_image');
    await refused(photo.subarray(0, 100), 400, 'broken_image');
    await refused(photo.subarray(0, photo.length >> 1), 400, 'broken_image');
    await refused(Buffer.alloc(9 * 1024 * 1024), 413, 'body_too_large');
  });

  test('cannot make the program large', async () => {
    await refused(png(60_000, 60_000, 0, deflateSync(Buffer.alloc(100))), 413, 'image_too_large');
    await refused(png(0, 10, 0, deflateSync(Buffer.alloc(100))), 400, 'broken_image');
    await refused(png(10, 10, 1, bomb), 400, 'broken_image');
    const huge = await sharp({ create: { width: 4000, height: 3000, channels: 3, background: '#888' } })
      .jpeg()
      .toBuffer();
    await refused(huge, 413, 'image_too_large');
    const scans = Buffer.concat([Buffer.from([0xff, 0xd8]), ...Array.from({ length: 100 }, () => Buffer.from([0xff, 0xda, 0, 2]))]);
    await refused(scans, 413, 'image_too_large');
  });

  test('has no way past the parameters', async () => {
    const picture = await halves.clone().png().toBuffer();
    for (const query of [
      '',
      'op=',
      'op=constructor',
      'op=rotate&angle=45',
      'op=thumbnail&size=0',
      'op=thumbnail&size=1e9',
      'op=flip&format=gif',
    ]) {
      await refused(picture, 400, 'invalid_parameter', `/transform?${query}`);
    }
    await refused(picture, 404, 'not_found', '/other');
    expect((await fetch(`${program.url}/label`)).status).toBe(405);
  });

  test('leaves the program well', async () => {
    expect((await fetch(`${program.url}/health`)).status).toBe(200);
  });
});

test('takes no more pictures at once than it has workers', async () => {
  const picture = await sharp({ create: { width: 1500, height: 1500, channels: 3, background: '#888' } })
    .jpeg()
    .toBuffer();
  const replies = await Promise.all(Array.from({ length: 8 }, () => send('/transform?op=edges', picture)));
  const statuses = replies.map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200, 503]));
}, 30_000);
