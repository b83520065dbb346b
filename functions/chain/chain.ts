/**
 * What this edge wants to know of the chain, from finalized blocks only. One `Chain` serves one errand: its endpoints are
 * checked once, and the archive is asked where a node no longer has the state.
 */
import * as z from 'zod/mini';
import { eventReader, type BlockEvents, type EventReader } from './events.ts';
import { ChainError, askNode, bytesOf, hashSchema, parsed, type RpcCall } from './rpc.ts';

/** The part of the edge's bindings that this needs. */
export interface ChainEnv {
  /** Endpoints that answer JSON-RPC by HTTP POST, comma separated; the first that answers is used. Absent: no chain. */
  CHAIN_URL?: string;
  /** One that keeps the state of all blocks. */
  CHAIN_ARCHIVE_URL?: string;
  /** Hash of block 0, `0x…`. Absent: Bittensor's main network. */
  CHAIN_GENESIS?: string;
}

export const FINNEY = '0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03';

/** twox128("System") and twox128("Events"). */
const EVENTS_KEY = '0x26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7';

export interface BlockRef {
  number: number;
  hash: string;
}

export interface Block extends BlockRef {
  parent: string;
}

const headerSchema = z.object({ parentHash: hashSchema, number: z.string().check(z.regex(/^0x[0-9a-f]{1,12}$/)) });
const versionSchema = z.object({ specVersion: z.number() });
const bodySchema = z.object({ block: z.object({ header: headerSchema, extrinsics: z.array(z.string()) }) });

/** The chain this environment is for; null: none is configured. */
export function openChain(env: ChainEnv): Chain | null {
  const urls = (env.CHAIN_URL ?? '').split(',').map((url) => url.trim());
  if (urls[0] === '' || urls[0] === undefined) return null;
  return new Chain(urls, env.CHAIN_ARCHIVE_URL ?? null, genesisOf(env));
}

export function genesisOf(env: ChainEnv): string {
  return env.CHAIN_GENESIS ?? FINNEY;
}

/** Every method throws `ChainError`. */
export class Chain {
  readonly genesis: string;
  readonly #urls: readonly string[];
  readonly #archive: string | null;
  readonly #checked = new Set<string>();

  constructor(urls: readonly string[], archive: string | null, genesis: string) {
    this.#urls = urls;
    this.#archive = archive;
    this.genesis = genesis;
  }

  /** By the first endpoint that answers. */
  async ask(calls: readonly RpcCall[]): Promise<unknown[]> {
    let last = new ChainError('unreachable', 'there is no node');
    for (const url of this.#urls) {
      try {
        return await this.#askAt(url, calls);
      } catch (error) {
        if (!(error instanceof ChainError) || error.fault === 'refused') throw error;
        last = error;
      }
    }
    throw last;
  }

  /** Like `ask`, for what a node forgets: what it refuses, the archive may know. */
  async #askBack(calls: readonly RpcCall[]): Promise<unknown[]> {
    try {
      return await this.ask(calls);
    } catch (error) {
      if (this.#archive === null || !(error instanceof ChainError) || error.fault !== 'refused') throw error;
      return this.#askAt(this.#archive, calls);
    }
  }

  async #askAt(url: string, calls: readonly RpcCall[]): Promise<unknown[]> {
    if (this.#checked.has(url)) return askNode(url, calls);
    const [genesis, ...results] = await askNode(url, [{ method: 'chain_getBlockHash', params: [0] }, ...calls]);
    if (genesis !== this.genesis) throw new ChainError('other_chain', 'the node follows another chain');
    this.#checked.add(url);
    return results;
  }

  async finalizedHead(): Promise<BlockRef> {
    const [result] = await this.ask([{ method: 'chain_getFinalizedHead', params: [] }]);
    const hash = parsed(hashSchema, result, 'the finalized head');
    const [header] = await this.ask([{ method: 'chain_getHeader', params: [hash] }]);
    return { number: Number(parsed(headerSchema, header, 'a header').number), hash };
  }

  /** Blocks `from` to `to`, both included, which must be finalized: each is the parent of the next. */
  async blocks(from: number, to: number): Promise<Block[]> {
    const numbers = Array.from({ length: to - from + 1 }, (_, i) => from + i);
    const answers = await this.ask(numbers.map((n) => ({ method: 'chain_getBlockHash', params: [n] })));
    const hashes = answers.map((hash) => parsed(hashSchema, hash, 'the hash of a finalized block'));
    const headers = await this.ask(hashes.map((hash) => ({ method: 'chain_getHeader', params: [hash] })));
    const blocks = headers.map((header, i) => blockOf(hashes[i] ?? '', header));
    if (blocks.some((block, i) => block.number !== from + i || (i > 0 && block.parent !== blocks[i - 1]?.hash)))
      throw new ChainError('malformed', 'the blocks are not one chain');
    return blocks;
  }

  /** The events of each block. */
  async events(blocks: readonly Block[]): Promise<BlockEvents[]> {
    // A runtime that a block brings writes from the next block on: the parent's state says which one wrote this block's events.
    const versions = await this.#askBack(blocks.map(({ parent }) => ({ method: 'state_getRuntimeVersion', params: [parent] })));
    const stored = await this.#askBack(blocks.map(({ hash }) => ({ method: 'state_getStorage', params: [EVENTS_KEY, hash] })));
    const found: BlockEvents[] = [];
    for (const [i, { parent }] of blocks.entries()) {
      const { specVersion } = parsed(versionSchema, versions[i], 'a runtime version');
      const read = await this.#reader(specVersion, parent);
      found.push(read(bytesOf(stored[i], 'the events of a block')));
    }
    return found;
  }

  async #reader(specVersion: number, at: string): Promise<EventReader> {
    const known = readers.get(`${this.genesis}/${specVersion}`);
    if (known !== undefined) return known;
    const [metadata] = await this.#askBack([{ method: 'state_getMetadata', params: [at] }]);
    const reader = eventReader(bytesOf(metadata, 'the metadata'));
    if (readers.size >= READERS_KEPT) readers.clear();
    readers.set(`${this.genesis}/${specVersion}`, reader);
    return reader;
  }

  /** The extrinsics of a block, as hex. */
  async extrinsics({ hash, number }: BlockRef): Promise<string[]> {
    const [result] = await this.#askBack([{ method: 'chain_getBlock', params: [hash] }]);
    const { block } = parsed(bodySchema, result, 'a block');
    if (Number(block.header.number) !== number) throw new ChainError('malformed', 'the node answered another block');
    return block.extrinsics;
  }

  /** Hands a signed extrinsic (`0x…`) to the pool of one node, once. What becomes of it only finalized blocks say. */
  async submit(extrinsic: string): Promise<void> {
    if (this.#checked.size === 0) await this.ask([]);
    const [url] = this.#checked;
    if (url !== undefined) await askNode(url, [{ method: 'author_submitExtrinsic', params: [extrinsic] }]);
  }
}

/** Runtimes whose readers an isolate keeps: the one of now, and the one before during an upgrade. */
const READERS_KEPT = 4;
const readers = new Map<string, EventReader>();

function blockOf(hash: string, header: unknown): Block {
  const { number, parentHash } = parsed(headerSchema, header, 'a header');
  return { number: Number(number), hash, parent: parentHash };
}
