/**
 * SCALE types: how a value is written and read, and how metadata describes it. Both come out of one object, so what the stand-in
 * says of itself is what it does.
 */
import type { V14 } from '@polkadot-api/substrate-bindings';
import { decodeAddress, encodeAddress } from '../../miner-agent/identity/ss58.ts';

export type Def = V14['lookup'][number]['def'];

export interface Type<T> {
  write(value: T): number[];
  read(from: Reader): T;
  /** Its number in the metadata; registers what is new. */
  id(types: Registry): number;
}

/** What a type is made of. */
export type Of<T> = T extends Type<infer V> ? V : never;

/** Bytes that are not what they should be. */
export class Undecodable extends Error {}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    if (taken.length !== length) throw new Undecodable('it is cut off');
    this.#at += length;
    return taken;
  }

  /** Little-endian. */
  uint(width: number): bigint {
    return this.take(width).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.take(this.left());
  }

  left(): number {
    return this.#bytes.length - this.#at;
  }
}

export function encode<T>(type: Type<T>, value: T): Uint8Array {
  return Uint8Array.from(type.write(value));
}

/** All of the bytes and nothing else. Throws `Undecodable`. */
export function decode<T>(type: Type<T>, bytes: Uint8Array): T {
  const reader = new Reader(bytes);
  const value = type.read(reader);
  if (reader.left() > 0) throw new Undecodable('it is longer than it should be');
  return value;
}

// ── numbers ──

export function little(value: bigint, width: number): number[] {
  return Array.from({ length: width }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

type UintName = 'u8' | 'u16' | 'u32' | 'u64' | 'u128';

function small(name: UintName, width: number): Type<number> {
  return { write: (value) => little(BigInt(value), width), read: (from) => Number(from.uint(width)), id: primitive(name) };
}

function big(name: UintName, width: number): Type<bigint> {
  return { write: (value) => little(value, width), read: (from) => from.uint(width), id: primitive(name) };
}

function primitive(tag: UintName | 'bool') {
  return (types: Registry) => types.of(tag, () => ({ def: { tag: 'primitive', value: { tag, value: undefined } } }));
}

export const u8 = small('u8', 1);
export const u16 = small('u16', 2);
export const u32 = small('u32', 4);
export const u64 = big('u64', 8);
export const u128 = big('u128', 16);

export const bool: Type<boolean> = {
  write: (value) => [value ? 1 : 0],
  read: (from) => from.uint(1) === 1n,
  id: primitive('bool'),
};

export function compactBytes(value: bigint): number[] {
  if (value < 1n << 6n) return little(value << 2n, 1);
  if (value < 1n << 14n) return little((value << 2n) | 1n, 2);
  if (value < 1n << 30n) return little((value << 2n) | 2n, 4);
  const width = Math.max(4, Math.ceil(value.toString(16).length / 2));
  return [((width - 4) << 2) | 3, ...little(value, width)];
}

export function readCompact(from: Reader): bigint {
  const first = from.uint(1);
  const mode = Number(first & 3n);
  if (mode === 3) return from.uint(Number(first >> 2n) + 4);
  return (from.uint((1 << mode) - 1) << 6n) | (first >> 2n);
}

export function compact(of: Type<number> | Type<bigint>): Type<bigint> {
  return {
    write: compactBytes,
    read: readCompact,
    id: (types) => types.of(`compact/${of.id(types)}`, () => ({ def: { tag: 'compact', value: of.id(types) } })),
  };
}

// ── lists ──

export function vec<T>(of: Type<T>): Type<T[]> {
  return {
    write: (values) => [...compactBytes(BigInt(values.length)), ...values.flatMap((value) => of.write(value))],
    read: (from) => {
      const length = readCompact(from);
      // What has no bytes cannot be listed here, so a length that lies ends at the end of the bytes.
      if (length > BigInt(from.left())) throw new Undecodable('a list is longer than its bytes');
      return Array.from({ length: Number(length) }, () => of.read(from));
    },
    id: (types) => types.of(`vec/${of.id(types)}`, () => ({ def: { tag: 'sequence', value: of.id(types) } })),
  };
}

/** `Vec<u8>` */
export const blob: Type<Uint8Array> = {
  write: (value) => [...compactBytes(BigInt(value.length)), ...value],
  read: (from) => from.take(Number(readCompact(from))),
  id: (types) => vec(u8).id(types),
};

export function fixed(length: number): Type<Uint8Array> {
  return {
    write: (value) => [...value],
    read: (from) => from.take(length),
    id: (types) => types.of(`array/${length}`, () => ({ def: { tag: 'array', value: { len: length, type: u8.id(types) } } })),
  };
}

export function option<T>(of: Type<T>): Type<T | null> {
  const shape = variant(['Option'], { None: [0, none], Some: [1, wrapped(of)] }, { T: of });
  return {
    write: (value) => (value === null ? [0] : [1, ...of.write(value)]),
    read: (from) => (from.uint(1) === 0n ? null : of.read(from)),
    id: (types) => types.of(`option/${of.id(types)}`, () => shape.entry(types)),
  };
}

export function tuple<const T extends readonly Type<unknown>[]>(...of: T): Type<{ [K in keyof T]: Of<T[K]> }> {
  return {
    write: (values) => of.flatMap((type, i) => type.write(values[i])),
    // The types of the parts are those of the whole, which a mapped array cannot say.
    read: (from) => of.map((type) => type.read(from)) as { [K in keyof T]: Of<T[K]> },
    id: (types) => {
      const ids = of.map((type) => type.id(types));
      return types.of(`tuple/${ids.join()}`, () => ({ def: { tag: 'tuple', value: ids } }));
    },
  };
}

// ── structs and variants ──

type Fields = Record<string, Type<unknown>>;
export type Values<F extends Fields> = { [K in keyof F]: Of<F[K]> };

export interface Struct<F extends Fields> extends Type<Values<F>> {
  fields: F;
}

/** Fields called `_0`, `_1`, … have no name. `params`: what a generic type is made with, where readers of metadata want to know. */
export function struct<F extends Fields>(path: string[], fields: F, params: Fields = {}): Struct<F> {
  const entries = Object.entries(fields);
  return {
    fields,
    write: (value) => entries.flatMap(([name, type]) => type.write(value[name])),
    read: (from) => Object.fromEntries(entries.map(([name, type]) => [name, type.read(from)])) as Values<F>,
    id: (types) => {
      const value = fieldsOf(fields, types);
      const key = `struct/${path.join('::')}/${value.map(({ name = '', type }) => `${name}:${type}`).join()}`;
      return types.of(key, () => ({ path, params: paramsOf(params, types), def: { tag: 'composite', value } }));
    },
  };
}

export const none = struct([], {});

/** A struct of one field without a name: the value itself. */
export function wrapped<T>(of: Type<T>): Struct<{ _0: Type<T> }> {
  return struct([], { _0: of });
}

type Variants = Record<string, readonly [index: number, fields: Struct<Fields>]>;
export type OneOf<V extends Variants> = { [K in keyof V]: { type: K; value: Of<V[K][1]> } }[keyof V];

export interface Variant<V extends Variants> extends Type<OneOf<V>> {
  entry(types: Registry): Entry;
}

export function variant<const V extends Variants>(path: string[], variants: V, params: Fields = {}): Variant<V> {
  const entry = (types: Registry): Entry => ({
    path,
    params: paramsOf(params, types),
    def: {
      tag: 'variant',
      value: Object.entries(variants).map(([name, [index, { fields }]]) => ({ name, index, fields: fieldsOf(fields, types), docs: [] })),
    },
  });
  return {
    entry,
    write: ({ type, value }) => {
      const [index, fields] = variants[type] ?? [0, none];
      return [index, ...fields.write(value)];
    },
    read: (from) => {
      const index = Number(from.uint(1));
      const found = Object.entries(variants).find(([, [own]]) => own === index);
      if (found === undefined) throw new Undecodable('there is no such variant');
      return { type: found[0], value: found[1][1].read(from) } as OneOf<V>;
    },
    id: (types) => types.of(`variant/${path.join('::')}`, () => entry(types)),
  };
}

function fieldsOf(fields: Fields, types: Registry) {
  return Object.entries(fields).map(([name, type]) => ({
    name: name.startsWith('_') ? undefined : name,
    type: type.id(types),
    typeName: undefined,
    docs: [],
  }));
}

function paramsOf(params: Fields, types: Registry) {
  return Object.entries(params).map(([name, type]) => ({ name, type: type.id(types) }));
}

// ── metadata ──

export interface Entry {
  path?: string[];
  params?: { name: string; type: number }[];
  def: Def;
}

/** The types of a metadata, each once. */
export class Registry {
  readonly #ids = new Map<string, number>();
  readonly #entries: (Entry | undefined)[] = [];

  of(key: string, make: () => Entry): number {
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#entries.length;
    this.#ids.set(key, id);
    // Its place is taken before its parts take theirs.
    this.#entries.push(undefined);
    this.#entries[id] = make();
    return id;
  }

  lookup(): V14['lookup'] {
    return this.#entries.map((entry, id) => ({
      id,
      path: entry?.path ?? [],
      params: entry?.params ?? [],
      def: entry?.def ?? { tag: 'tuple', value: [] },
      docs: [],
    }));
  }
}

// ── what everything uses ──

/** ss58, prefix 42. */
export const account: Type<string> = {
  write: (address) => {
    const key = decodeAddress(address);
    if (key === null) throw new Undecodable('it is no address');
    return [...key];
  },
  read: (from) => encodeAddress(from.take(32)),
  id: (types) => struct(['sp_core', 'crypto', 'AccountId32'], { _0: fixed(32) }).id(types),
};

export const hash: Type<Uint8Array> = {
  ...fixed(32),
  id: (types) => struct(['primitive_types', 'H256'], { _0: fixed(32) }).id(types),
};

export function hex(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString('hex')}`;
}

/** Throws `Undecodable` for what is not `0x…`. */
export function unhex(text: string): Uint8Array {
  if (!/^0x([0-9a-f]{2})*$/i.test(text)) throw new Undecodable('it is no hexadecimal');
  return new Uint8Array(Buffer.from(text.slice(2), 'hex'));
}
