/** SCALE, as far as it is read and written here. What does not fit is an error: a neuron read at the wrong place is another miner's. */
import { concatBytes } from '@noble/hashes/utils.js';
import { compact, little } from './extrinsic.ts';
import { ChainError } from './rpc.ts';

/** Items of one list at most: a subnet has a few hundred neurons, and a length out of broken bytes would fill the memory. */
const LIST = 65_536;

/** Reads from the start to the end. Every method throws `ChainError` (`malformed`). */
export class ScaleReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  bytes(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new ChainError('malformed', `${this.#what}: cut off`);
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** Fixed width, little-endian. */
  uint(width: number): bigint {
    return this.bytes(width).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  u8 = (): number => Number(this.uint(1));
  u16 = (): number => Number(this.uint(2));
  u32 = (): number => Number(this.uint(4));
  u64 = (): bigint => this.uint(8);
  key = (): Uint8Array => this.bytes(32);

  bool = (): boolean => {
    const value = this.u8();
    if (value > 1) throw new ChainError('malformed', `${this.#what}: no boolean`);
    return value === 1;
  };

  compact = (): bigint => {
    const first = this.u8();
    const mode = first & 3;
    const width = mode === 3 ? 4 + (first >> 2) : (1 << mode) - 1;
    if (mode === 3) return this.uint(width);
    return (this.uint(width) << 6n) | BigInt(first >> 2);
  };

  list<T>(item: () => T): T[] {
    const length = this.compact();
    if (length > LIST) throw new ChainError('malformed', `${this.#what}: too long a list`);
    return Array.from({ length: Number(length) }, item);
  }

  blob(): Uint8Array {
    const length = this.compact();
    if (length > this.#bytes.length) throw new ChainError('malformed', `${this.#what}: cut off`);
    return this.bytes(Number(length));
  }

  option<T>(item: () => T): T | null {
    return this.bool() ? item() : null;
  }

  /** Nothing may be left: for what has a fixed shape. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new ChainError('malformed', `${this.#what}: longer than it should be`);
  }
}

export function u16Bytes(value: number): Uint8Array {
  return little(BigInt(value), 2);
}

export function u64Bytes(value: bigint): Uint8Array {
  return little(value, 8);
}

export function listBytes(items: readonly Uint8Array[]): Uint8Array {
  return concatBytes(compact(BigInt(items.length)), ...items);
}

export function blobBytes(bytes: Uint8Array): Uint8Array {
  return concatBytes(compact(BigInt(bytes.length)), bytes);
}
