/** The public API as an outsider sees it: no key, every reply bounded and checked here. */
import * as z from 'zod/mini';
import { AUDIT_LIMITS } from '#protocol/audit.ts';
import { beaconChainSchema, QUICKNET, transcriptSchema, type BeaconChain, type Transcript } from '#protocol/challenge/index.ts';
import { EPOCH_LIMITS, EPOCH_STATES, weightsSchema } from '#protocol/epoch.ts';
import { hashOf, type Cache } from './cache.ts';
import { Missing } from './outcome.ts';

/** Above every epoch. */
const END = 99_999_999_999;
const REPLY_BYTES = 4 * 1024 * 1024;
/** Milliseconds without a byte, milliseconds for all of them, and how often a request is made again, from where it broke. */
const SILENCE_MS = 20_000;
const FILE_MS = 300_000;
const TRIES = 4;

const count = z.number().check(z.int(), z.nonnegative());
const hex32 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const text = z.string().check(z.maxLength(512));

/** Whoever says that it is quicknet is held to quicknet's key. */
const chainSchema = z.pipe(
  beaconChainSchema,
  z.transform((chain) => (chain.hash === QUICKNET.hash ? QUICKNET : chain)),
);

const judgementSchema = z.object({
  judge: text,
  gate: z.boolean(),
  evidence: hex32,
  findings: hex32,
  summary: hex32,
  weights: weightsSchema,
  signed: z.object({
    origin: text,
    method: text,
    target: text,
    hotkey: text,
    timestamp: text,
    nonce: text,
    signature: text,
    body: z.string().check(z.maxLength(256 * 1024)),
  }),
  block: z.nullable(count),
  reveal_round: z.nullable(count),
});
export type Judgement = z.infer<typeof judgementSchema>;

const infoSchema = z.object({
  epoch: count,
  state: z.enum(EPOCH_STATES),
  hash: z.nullable(hex32),
  seconds: z.number().check(z.int(), z.positive(), z.lte(AUDIT_LIMITS.epochSeconds)),
  suite: text,
  previous: hex32,
  closed_at: count,
  beacon: z.object({ chain: chainSchema, urls: z.array(z.string().check(z.maxLength(256))).check(z.maxLength(16)) }),
  /** The subnet that its weights go to; null: none. */
  chain: z.nullish(z.object({ netuid: count, genesis: text })),
  judges: z.array(judgementSchema).check(z.maxLength(EPOCH_LIMITS.judges)),
});
export type EpochInfo = z.infer<typeof infoSchema>;

const listSchema = z.object({
  items: z.array(z.object({ epoch: count, state: z.enum(EPOCH_STATES), hash: z.nullable(hex32) })).check(z.maxLength(EPOCH_LIMITS.page)),
});
export type EpochList = z.infer<typeof listSchema>['items'];

export class Edge {
  readonly #origin: string;
  readonly #signal: AbortSignal;
  /** Bytes that were downloaded. */
  bytes = 0;

  constructor(origin: string, signal: AbortSignal) {
    this.#origin = origin;
    this.#signal = signal;
  }

  /** Null: there is no such closed epoch. */
  epoch(start: number): Promise<EpochInfo | null> {
    return this.#json(`/epochs/${start}`, infoSchema);
  }

  /** Newest first, below `before`. */
  async epochsBefore(before: number): Promise<EpochList> {
    return (await this.#json(`/epochs?before=${before}`, listSchema))?.items ?? [];
  }

  /** What the network goes by, as its newest closed epoch tells it. Throws `Missing`. */
  async network(): Promise<{ suite: string; chain: BeaconChain; urls: string[] }> {
    const closed = (await this.epochsBefore(END)).find(({ hash }) => hash !== null);
    const info = closed === undefined ? null : await this.epoch(closed.epoch);
    if (info === null) throw new Missing('No epoch of this network is closed yet.', 'Try again when one has ended.');
    return { suite: info.suite, chain: info.beacon.chain, urls: info.beacon.urls };
  }

  /** Null: there is none, or it has not ended. */
  async transcript(id: string): Promise<Transcript | null> {
    const found = await this.#json(`/audit/transcripts/${id}`, transcriptSchema).catch(() => null);
    return found?.id === id ? found : null;
  }

  /** A file by its hash, from the cache where it is there. Null: it is not published, or what is, is another file. */
  async file(path: string, sha256: string, most: number, cache: Cache): Promise<Uint8Array | null> {
    const known = await cache.get(sha256);
    if (known !== null) return known;
    const bytes = await this.#get(path, most);
    if (bytes === null || hashOf(bytes) !== sha256) return null;
    await cache.put(sha256, bytes);
    return bytes;
  }

  /** A file whose hash is not known beforehand. */
  bytesOf(path: string, most: number): Promise<Uint8Array | null> {
    return this.#get(path, most);
  }

  async #json<T>(path: string, schema: z.ZodMiniType<T>): Promise<T | null> {
    const bytes = await this.#get(path, REPLY_BYTES);
    if (bytes === null) return null;
    const parsed = z.safeParse(schema, parseJson(new TextDecoder().decode(bytes)));
    if (!parsed.success)
      throw new Missing(
        `${path.split('?', 1)[0]} answered what this program cannot read.`,
        'Is this the address of an edge? Is this program as new as it?',
      );
    return parsed.data;
  }

  /** Null: 404. A reply that breaks is asked for again, from where it broke. Throws `Missing`. */
  async #get(path: string, most: number): Promise<Uint8Array | null> {
    const parts: Uint8Array[] = [];
    let why = '';
    for (let k = 0; k < TRIES; k++) {
      const from = parts.reduce((sum, part) => sum + part.byteLength, 0);
      const silence = new AbortController();
      let timer = setTimeout(() => silence.abort(), SILENCE_MS);
      try {
        const reply = await fetch(this.#origin + path, {
          headers: from === 0 ? {} : { range: `bytes=${from}-` },
          signal: AbortSignal.any([this.#signal, silence.signal, AbortSignal.timeout(FILE_MS)]),
          redirect: 'error',
        });
        if (reply.status === 404) return null;
        if (!reply.ok) throw new Error(`${reply.status}`);
        if (from > 0 && reply.status !== 206) parts.length = 0;
        let size = from > 0 && reply.status === 206 ? from : 0;
        for await (const part of reply.body ?? []) {
          clearTimeout(timer);
          timer = setTimeout(() => silence.abort(), SILENCE_MS);
          size += part.byteLength;
          this.bytes += part.byteLength;
          if (size > most) throw new Missing(`${path} has more than ${most} bytes.`, 'No file of an epoch may be that long.');
          parts.push(part);
        }
        return Buffer.concat(parts);
      } catch (error) {
        if (error instanceof Missing || this.#signal.aborted) throw error;
        why = error instanceof Error ? error.message : 'unknown';
      } finally {
        clearTimeout(timer);
      }
    }
    throw new Missing(
      `${path.split('?', 1)[0]} cannot be read: ${why}.`,
      'Check the address and the network, then run it again: what was downloaded is kept.',
    );
  }
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
