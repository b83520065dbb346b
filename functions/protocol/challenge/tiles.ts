/** The last tiles of B that were made: all devices of a round have the same ones. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { keyOf } from './mix.ts';
import { tileOf, type Tile } from './product.ts';
import type { MmProfile } from './suite.ts';

export class Tiles {
  readonly #tiles = new Map<string, Tile>();
  readonly #most: number;

  /** `most` tiles are kept: 4 MiB each at n = 8,192, where eight are all of B. */
  constructor(most: number) {
    this.#most = most;
  }

  get(profile: MmProfile, shared: Uint8Array, index: number): Tile {
    const name = `${bytesToHex(shared)} ${profile.n} ${index}`;
    const tile = this.#tiles.get(name) ?? tileOf(profile, keyOf('B', shared), index);
    this.#tiles.delete(name);
    this.#tiles.set(name, tile);
    for (const oldest of this.#tiles.keys()) {
      if (this.#tiles.size <= this.#most) break;
      this.#tiles.delete(oldest);
    }
    return tile;
  }

  get size(): number {
    return this.#tiles.size;
  }
}
