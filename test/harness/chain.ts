/**
 * A chain that a test writes block by block: accounts with balances and nonces, a pool, forks, finality, runtime upgrades.
 * It takes real signed extrinsics and checks them as Subtensor does; its SCALE is written by hand, so that the code under
 * test is read against another's bytes.
 */
import { blake2b } from '@noble/hashes/blake2.js';
import { verify } from '@scure/sr25519';
import { decodeAddress, encodeAddress } from '../../miner-agent/identity/ss58.ts';
import { FIRST_RUNTIME, metadataOf, type Runtime } from './chain-metadata.ts';

/** A transfer that happens in a block without an extrinsic of ours. */
export interface ScriptedTransfer {
  from: string;
  to: string;
  rao: bigint;
  /** When it happens; as an extrinsic if nothing is said. */
  phase?: 'initialization' | 'finalization';
}

export interface ScriptedBlock {
  number: number;
  hash: string;
  parent: string;
  stateRoot: string;
  extrinsics: string[];
  /** SCALE of `System.Events`. */
  events: Uint8Array;
  /** The runtime that the next block runs under. */
  runtime: Runtime;
  balances: Map<string, bigint>;
  nonces: Map<string, number>;
}

export interface ProduceAsk {
  transfers?: ScriptedTransfer[];
  /** Builds on this block; the best one if nothing is said. */
  on?: ScriptedBlock;
  /** The block brings this runtime. */
  upgrade?: Runtime;
  /** Leaves the pool alone. */
  withoutPool?: boolean;
  /** Makes what is taken out of the pool fail. */
  failing?: boolean;
}

/** Why the pool does not take an extrinsic, as nodes put it. */
export class Invalid extends Error {}

export class ScriptedChain {
  readonly genesis: ScriptedBlock;
  readonly blocks = new Map<string, ScriptedBlock>();
  best: ScriptedBlock;
  finalized: ScriptedBlock;
  /** By hash, in the order they came. */
  readonly pool = new Map<string, Uint8Array>();
  /** Hashes of everything that was ever handed in. */
  readonly submitted: string[] = [];

  constructor(funds: Record<string, bigint> = {}, runtime = FIRST_RUNTIME) {
    const balances = new Map(Object.entries(funds));
    this.genesis = sealed({
      number: 0,
      parent: `0x${'00'.repeat(32)}`,
      extrinsics: [],
      events: vec([]),
      runtime,
      balances,
      nonces: new Map(),
    });
    this.blocks.set(this.genesis.hash, this.genesis);
    this.best = this.genesis;
    this.finalized = this.genesis;
  }

  /** The next block; the best one from now on. */
  produce(ask: ProduceAsk = {}): ScriptedBlock {
    const parent = ask.on ?? this.best;
    const { runtime } = parent;
    const state = { balances: new Map(parent.balances), nonces: new Map(parent.nonces) };
    // The first extrinsic sets the time, as in every block.
    const extrinsics: Uint8Array[] = [withLength(bytes(0x04, 0x03, 0x00, parent.number & 0xff))];
    const records: Uint8Array[] = [record(INITIALIZATION, weightsSet()), record(applying(0), success())];
    for (const t of ask.transfers ?? []) {
      const phase = t.phase === 'initialization' ? INITIALIZATION : t.phase === 'finalization' ? FINALIZATION : applying(extrinsics.length);
      move(state.balances, t);
      records.push(record(phase, transferred(runtime, t)));
      if (t.phase !== undefined) continue;
      records.push(record(phase, success()));
      extrinsics.push(withLength(bytes(0x04, 0xee, extrinsics.length)));
    }
    for (const [hash, extrinsic] of ask.withoutPool === true ? [] : this.pool) {
      const signed = this.#accept(extrinsic, parent, state);
      if (signed === null) continue;
      this.pool.delete(hash);
      const phase = applying(extrinsics.length);
      extrinsics.push(extrinsic);
      const covered = (state.balances.get(signed.from) ?? 0n) >= signed.rao;
      if (ask.failing === true || !covered) records.push(record(phase, failed()));
      else {
        move(state.balances, signed);
        records.push(record(phase, transferred(runtime, signed)), record(phase, success()));
      }
    }
    if (ask.upgrade !== undefined) records.push(record(applying(0), codeUpdated()));
    const events = vec(records);
    const block = sealed({
      number: parent.number + 1,
      parent: parent.hash,
      extrinsics: extrinsics.map(hex),
      events,
      runtime: ask.upgrade ?? runtime,
      ...state,
    });
    this.blocks.set(block.hash, block);
    this.best = block;
    return block;
  }

  /** Blocks so many, all empty, finalized if nothing else is said. */
  grow(count: number, { finalize = true } = {}): ScriptedBlock {
    for (let i = 0; i < count; i++) this.produce();
    if (finalize) this.finalize();
    return this.best;
  }

  /** This block and all before it; the best one if nothing is said. */
  finalize(block = this.best): void {
    if (!this.line(block).includes(this.finalized)) throw new Error('finality does not go back');
    this.finalized = block;
    // What is not on its line any more is dropped.
    if (!this.line(this.best).includes(block)) this.best = block;
  }

  /** The blocks from genesis to this one. */
  line(to: ScriptedBlock): ScriptedBlock[] {
    const line: ScriptedBlock[] = [];
    for (let at: ScriptedBlock | undefined = to; at !== undefined; at = this.blocks.get(at.parent)) line.unshift(at);
    return line;
  }

  at(number: number): ScriptedBlock | undefined {
    return this.line(this.best)[number];
  }

  balance(address: string): bigint {
    return this.finalized.balances.get(address) ?? 0n;
  }

  /** Takes an extrinsic into the pool. Throws `Invalid`. */
  submit(extrinsic: Uint8Array): string {
    const hash = hex(blake2b(extrinsic, { dkLen: 32 }));
    this.submitted.push(hash);
    const pending = new Map(this.best.nonces);
    for (const waiting of this.pool.values()) pending.set(opened(waiting).from, opened(waiting).nonce + 1);
    const { from, nonce } = opened(extrinsic);
    if (nonce < (pending.get(from) ?? 0)) throw new Invalid('Transaction is outdated');
    this.#check(extrinsic, this.best);
    this.pool.set(hash, extrinsic);
    return hash;
  }

  /** The next nonce of an account, what is in the pool counted. */
  nextNonce(address: string): number {
    const waiting = [...this.pool.values()].filter((extrinsic) => opened(extrinsic).from === address).length;
    return (this.best.nonces.get(address) ?? 0) + waiting;
  }

  #accept(extrinsic: Uint8Array, parent: ScriptedBlock, state: { nonces: Map<string, number> }): Opened | null {
    try {
      const signed = this.#check(extrinsic, parent);
      if (signed.nonce !== (state.nonces.get(signed.from) ?? 0)) return null;
      state.nonces.set(signed.from, signed.nonce + 1);
      return signed;
    } catch (error) {
      if (error instanceof Invalid) return null;
      throw error;
    }
  }

  /** Era and signature, for a block on `parent`. */
  #check(extrinsic: Uint8Array, parent: ScriptedBlock): Opened {
    const signed = opened(extrinsic);
    const { period, phase } = signed.era;
    // Valid from the block after its birth until the one before its death.
    const birth = Math.floor((parent.number + 1 - phase) / period) * period + phase;
    const born = this.line(parent)[birth];
    if (born === undefined) throw new Invalid('Transaction has an ancient birth block');
    const payload = signedBytes(signed.call, signed.extra, { spec: parent.runtime.spec, genesis: this.genesis.hash, birth: born.hash });
    if (!isSigned(payload, signed.signature, decodeAddress(signed.from) ?? new Uint8Array(32)))
      throw new Invalid('Transaction has a bad signature');
    return signed;
  }
}

/** What is signed of an extrinsic: hashed where it is long. */
export function signedBytes(call: Uint8Array, extra: Uint8Array, on: { spec: number; genesis: string; birth: string }): Uint8Array {
  const additional = bytes(...u32(on.spec), ...u32(1), ...unhex(on.genesis), ...unhex(on.birth), 0);
  const all = bytes(...call, ...extra, ...additional);
  return all.length > 256 ? blake2b(all, { dkLen: 32 }) : all;
}

/** `Balances.transfer_keep_alive` */
export function transferCall(runtime: Runtime, to: string, rao: bigint): Uint8Array {
  return bytes(runtime.balances, 3, 0, ...keyOf(to), ...compactOf(rao));
}

export function eraBytes(period: number, birth: number): Uint8Array {
  const low = Math.min(15, Math.max(1, Math.log2(period) - 1));
  const value = low | (Math.floor((birth % period) / Math.max(1, period >> 12)) << 4);
  return bytes(value & 0xff, value >> 8);
}

export function signedExtrinsic(from: string, signature: Uint8Array, extra: Uint8Array, call: Uint8Array): Uint8Array {
  return withLength(bytes(0x84, 0, ...keyOf(from), 1, ...signature, ...extra, ...call));
}

// ── extrinsics ──

interface Opened {
  from: string;
  signature: Uint8Array;
  era: { period: number; phase: number };
  nonce: number;
  extra: Uint8Array;
  call: Uint8Array;
  to: string;
  rao: bigint;
}

/** Throws `Invalid` for anything but a signed transfer. */
function opened(extrinsic: Uint8Array): Opened {
  const [length, at] = compactAt(extrinsic, 0);
  const body = extrinsic.subarray(at);
  if (Number(length) !== body.length || body[0] !== 0x84 || body[1] !== 0 || body[34] !== 1) throw new Invalid('Could not decode');
  const era = body.subarray(99, 101);
  if (era[0] === 0) throw new Invalid('Immortal');
  const encoded = (era[0] ?? 0) | ((era[1] ?? 0) << 8);
  const period = 2 << (encoded & 15);
  const [nonce, afterNonce] = compactAt(body, 101);
  const [, afterTip] = compactAt(body, afterNonce);
  const call = body.subarray(afterTip + 1);
  if (call[1] !== 3 || call[2] !== 0) throw new Invalid('Could not decode');
  const [rao] = compactAt(call, 35);
  return {
    from: encodeAddress(body.subarray(2, 34)),
    signature: body.subarray(35, 99),
    era: { period, phase: (encoded >> 4) * Math.max(1, period >> 12) },
    nonce: Number(nonce),
    extra: body.subarray(99, afterTip + 1),
    call,
    to: encodeAddress(call.subarray(3, 35)),
    rao,
  };
}

function isSigned(payload: Uint8Array, signature: Uint8Array, key: Uint8Array): boolean {
  try {
    return verify(payload, signature, key);
  } catch {
    return false;
  }
}

// ── events ──

const INITIALIZATION = bytes(2);
const FINALIZATION = bytes(1);
const INFO = bytes(...compactOf(1_000_000n), ...compactOf(3_000n), 0, 0);

function applying(extrinsic: number): Uint8Array {
  return bytes(0, ...u32(extrinsic));
}

function record(phase: Uint8Array, event: Uint8Array): Uint8Array {
  return bytes(...phase, ...event, 0);
}

function success(): Uint8Array {
  return bytes(0, 0, ...INFO);
}

function failed(): Uint8Array {
  return bytes(0, 1, 2, ...INFO);
}

function codeUpdated(): Uint8Array {
  return bytes(0, 2);
}

function weightsSet(): Uint8Array {
  return bytes(7, 1, ...u32(64));
}

function transferred(runtime: Runtime, { from, to, rao }: { from: string; to: string; rao: bigint }): Uint8Array {
  return bytes(runtime.balances, runtime.transfer, ...keyOf(from), ...keyOf(to), ...u64(rao));
}

function move(balances: Map<string, bigint>, { from, to, rao }: { from: string; to: string; rao: bigint }): void {
  balances.set(from, (balances.get(from) ?? 0n) - rao);
  balances.set(to, (balances.get(to) ?? 0n) + rao);
}

// ── blocks ──

let salt = 0;

/** The hash is the one of a real header; a count in the state root tells forks with the same content apart. */
function sealed(of: Omit<ScriptedBlock, 'hash' | 'stateRoot'>): ScriptedBlock {
  const stateRoot = blake2b(bytes(...of.events, ...u32(salt++)), { dkLen: 32 });
  const extrinsicsRoot = blake2b(new TextEncoder().encode(of.extrinsics.join()), { dkLen: 32 });
  const header = bytes(...unhex(of.parent), ...compactOf(BigInt(of.number)), ...stateRoot, ...extrinsicsRoot, 0);
  return { ...of, stateRoot: hex(stateRoot), hash: hex(blake2b(header, { dkLen: 32 })) };
}

const metadataCache = new Map<Runtime, string>();

export function metadataHex(runtime: Runtime): string {
  const known = metadataCache.get(runtime) ?? hex(metadataOf(runtime));
  metadataCache.set(runtime, known);
  return known;
}

// ── SCALE by hand ──

export function hex(of: Uint8Array): string {
  return `0x${Buffer.from(of).toString('hex')}`;
}

export function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.slice(2), 'hex'));
}

function bytes(...of: number[]): Uint8Array {
  return Uint8Array.from(of);
}

function u32(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff];
}

function u64(value: bigint): number[] {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(value);
  return [...buffer];
}

export function compactOf(value: bigint): number[] {
  if (value < 64n) return [Number(value) << 2];
  if (value < 16_384n) return [((Number(value) << 2) | 1) & 0xff, Number(value) >> 6];
  if (value < 1_073_741_824n) return u32(Number(value) * 4 + 2);
  const digits = u64(value);
  while (digits.length > 4 && digits.at(-1) === 0) digits.pop();
  return [((digits.length - 4) << 2) | 3, ...digits];
}

function compactAt(of: Uint8Array, at: number): [bigint, number] {
  const first = of[at] ?? 0;
  const width = (first & 3) === 3 ? (first >> 2) + 4 : 1 << (first & 3);
  const start = (first & 3) === 3 ? at + 1 : at;
  let value = 0n;
  for (let i = width - 1; i >= 0; i--) value = (value << 8n) | BigInt(of[start + i] ?? 0);
  return [(first & 3) === 3 ? value : value >> 2n, start + width];
}

function vec(items: Uint8Array[]): Uint8Array {
  return bytes(...compactOf(BigInt(items.length)), ...items.flatMap((item) => [...item]));
}

function withLength(body: Uint8Array): Uint8Array {
  return bytes(...compactOf(BigInt(body.length)), ...body);
}

function keyOf(address: string): Uint8Array {
  const key = decodeAddress(address);
  if (key === null) throw new Error(`${address} is no address`);
  return key;
}
