/**
 * Content-addressed bytes of an account: packed code folders. Nobody reaches another's by naming its hash. In R2 when the bucket is bound, else in a writable disk service of
 * workerd, which is a folder behind GET and PUT.
 */
import { LIMITS } from '#protocol';
import type { Env } from './env.ts';
import { RipcordError } from './errors.ts';

export interface Blobs {
  /** Keeps the bytes under their SHA-256 (hex). Throws `body_too_large`, or `invalid_request` when the hash is another. */
  put(hash: string, bytes: Uint8Array): Promise<void>;
  /** The bytes from an offset on, or null if there is no such blob. */
  get(hash: string, offset?: number): Promise<ReadableStream<Uint8Array> | null>;
  has(hash: string): Promise<boolean>;
}

const HASH = /^[0-9a-f]{64}$/;

/** The blobs of this account, each of so many bytes at most. Throws `unavailable` when the edge has no place for any. */
export function blobs(env: Pick<Env, 'BLOBS' | 'BLOBS_DISK'>, account: string, maxBytes: number = LIMITS.codeBytes): Blobs {
  const store =
    env.BLOBS !== undefined ? bucketStore(env.BLOBS, account) : env.BLOBS_DISK !== undefined ? diskStore(env.BLOBS_DISK, account) : null;
  if (store === null) throw new RipcordError('unavailable', { message: 'The edge has no blob store.' });
  return {
    async put(hash, bytes) {
      await check(hash, bytes, maxBytes);
      await store.put(hash, bytes);
    },
    get: async (hash, offset = 0) => (HASH.test(hash) ? store.get(hash, offset) : null),
    has: async (hash) => HASH.test(hash) && store.has(hash),
  };
}

type Store = Omit<Blobs, 'get'> & { get(hash: string, offset: number): Promise<ReadableStream<Uint8Array> | null> };

async function check(hash: string, bytes: Uint8Array, maxBytes: number): Promise<void> {
  if (!HASH.test(hash)) throw new RipcordError('invalid_request', { message: 'A blob is named by 64 hex digits.', param: 'sha256' });
  if (bytes.byteLength === 0) throw new RipcordError('invalid_request', { message: 'The blob is empty.' });
  if (bytes.byteLength > maxBytes) throw new RipcordError('body_too_large', { message: `At most ${maxBytes} bytes are taken here.` });
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const actual = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  if (actual !== hash)
    throw new RipcordError('invalid_request', { message: 'The SHA-256 of the body is not the name of the blob.', param: 'sha256' });
}

function bucketStore(bucket: R2Bucket, account: string): Store {
  const key = (hash: string): string => `blobs/${account}/${hash}`;
  return {
    async put(hash, bytes) {
      await bucket.put(key(hash), bytes);
    },
    async get(hash, offset) {
      const found = await bucket.get(key(hash), offset === 0 ? {} : { range: { offset } });
      return found?.body ?? null;
    },
    has: async (hash) => (await bucket.head(key(hash))) !== null,
  };
}

function diskStore(disk: Fetcher, account: string): Store {
  const url = (hash: string): string => `http://blobs/${account}/${hash}`;
  return {
    async put(hash, bytes) {
      const reply = await disk.fetch(url(hash), { method: 'PUT', body: bytes });
      if (!reply.ok) throw new RipcordError('unavailable', { message: `The blob store answered ${reply.status}.` });
    },
    async get(hash, offset) {
      const reply = await disk.fetch(url(hash), offset === 0 ? {} : { headers: { range: `bytes=${offset}-` } });
      if (reply.status === 404) return null;
      // All of it was read before.
      if (reply.status === 416) return new Blob([]).stream();
      if (!reply.ok || reply.body === null || (offset > 0 && reply.status !== 206))
        throw new RipcordError('unavailable', { message: `The blob store answered ${reply.status}.` });
      return reply.body;
    },
    async has(hash) {
      const reply = await disk.fetch(url(hash), { method: 'HEAD' });
      return reply.ok;
    },
  };
}
