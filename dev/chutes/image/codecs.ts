/** Bytes to pictures and back. Sizes are checked from the header, before anything large is made. */
import { inflateSync } from 'node:zlib';
import * as jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import { type Format, LIMITS, type Picture, RefusedError } from './picture.ts';

const PNG_START = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const JPEG_START = Buffer.from([0xff, 0xd8, 0xff]);
const SCAN_START = Buffer.from([0xff, 0xda]);
const JPEG_QUALITY = 85;
const JPEG_MEMORY_MB = 256;

export function decode(bytes: Buffer): { format: Format; picture: Picture } {
  if (bytes.subarray(0, PNG_START.length).equals(PNG_START)) return { format: 'png', picture: decodePng(bytes) };
  if (bytes.subarray(0, JPEG_START.length).equals(JPEG_START)) return { format: 'jpeg', picture: decodeJpeg(bytes) };
  throw new RefusedError(415, 'unknown_format', 'The body is neither a PNG nor a JPEG.');
}

export function encode({ width, height, data }: Picture, format: Format): Buffer {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (format === 'jpeg') return jpeg.encode({ width, height, data: bytes }, JPEG_QUALITY).data;
  const png = new PNG({ width, height });
  png.data = bytes;
  return PNG.sync.write(png);
}

function decodePng(bytes: Buffer): Picture {
  if (bytes.length < 33) throw broken('PNG', 'it ends inside its header');
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  checkPixels(width, height);
  try {
    // The decoder bounds what it inflates only for plain PNGs.
    if (bytes[28] !== 0) inflateSync(pixelChunks(bytes), { maxOutputLength: width * height * 8 + height * 16 + 1024 });
    const png = PNG.sync.read(bytes);
    return { width: png.width, height: png.height, data: png.data };
  } catch (error) {
    throw broken('PNG', error);
  }
}

function decodeJpeg(bytes: Buffer): Picture {
  let scans = 0;
  for (let at = bytes.indexOf(SCAN_START); at !== -1; at = bytes.indexOf(SCAN_START, at + 2)) scans += 1;
  if (scans > LIMITS.scans) throw new RefusedError(413, 'image_too_large', `The JPEG has more than ${LIMITS.scans} scans.`);
  try {
    const options = {
      useTArray: true,
      tolerantDecoding: false,
      maxResolutionInMP: LIMITS.pixels / 1e6,
      maxMemoryUsageInMB: JPEG_MEMORY_MB,
    } as const;
    const picture = jpeg.decode(bytes, options);
    checkPixels(picture.width, picture.height);
    return { width: picture.width, height: picture.height, data: picture.data };
  } catch (error) {
    if (error instanceof RefusedError) throw error;
    if (/^max(Resolution|Memory)/.test(error instanceof Error ? error.message : '')) throw tooLarge();
    throw broken('JPEG', error);
  }
}

/** The compressed pixels of a PNG: its IDAT chunks joined. */
function pixelChunks(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 8; at + 12 <= bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    if (bytes.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)));
  }
  return Buffer.concat(parts);
}

function checkPixels(width: number, height: number): void {
  if (width < 1 || height < 1) throw new RefusedError(400, 'broken_image', 'The picture has no pixels.');
  if (width * height > LIMITS.pixels) throw tooLarge();
}

function tooLarge(): RefusedError {
  return new RefusedError(413, 'image_too_large', `The picture has more than ${LIMITS.pixels} pixels.`);
}

function broken(format: string, reason: unknown): RefusedError {
  const text = reason instanceof Error ? reason.message : String(reason);
  return new RefusedError(400, 'broken_image', `The ${format} cannot be read: ${text.slice(0, 200)}.`);
}
