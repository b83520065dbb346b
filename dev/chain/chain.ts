/**
 * Blocks, forks, finality and the pool. Whoever holds a `Chain` makes its blocks: the program once a second, a test when it likes.
 * The hashes are those of real headers; the state root is a hash of what changed, not of a trie.
 */
import { blake2b } from '@noble/hashes/blake2.js';
import { addBalance, emit, INITIALIZATION, type BlockBeing, type ChainBeacon } from './block.ts';
import { FEE } from './calls.ts';
import { Failed, infoOf, type Phase } from './events.ts';
import { invalidityOf, openExtrinsic, timeExtrinsic, type Extrinsic, type Invalidity, type On } from './extrinsic.ts';
import { genesisState, type GenesisAsk } from './genesis.ts';
import { register } from './neurons.ts';
import { compactBytes, hex, unhex } from './scale.ts';
import { ITEMS, State } from './state.ts';
import { beginSubnet } from './subnet.ts';
import { roundAt } from '#protocol/challenge/beacon.ts';

export interface Block {
  number: number;
  hash: string;
  parent: string;
  stateRoot: string;
  extrinsicsRoot: string;
  extrinsics: string[];
  /** After the block; its runtime is that of the next one. */
  state: State;
  runtime: Runtime;
}

/** What differs between versions of the stand-in's runtime. */
export interface Runtime {
  spec: number;
  /** A runtime whose calls have other arguments: nobody should sign for it. */
  changed: boolean;
}

export interface ChainAsk extends GenesisAsk {
  beacon?: ChainBeacon | null;
  spec?: number;
  /** Least milliseconds between blocks, as the runtime's constant says. */
  blockMs?: number;
  now?: () => number;
}

/** Blocks whose state is kept, extrinsics and tasks that wait, and hashes that a state keeps. */
export const CHAIN_LIMITS = { blocks: 300, pool: 1_000, tasks: 256, hashes: 512 } as const;

/** Why the pool takes an extrinsic no further. */
export class Refused extends Error {
  readonly why: Invalidity | { kind: 'Known' | 'Full' | 'Banned' };
  constructor(why: Refused['why']) {
    super(why.kind);
    this.why = why;
  }
}

/** What a pool of another mind does: for tests. */
export interface Faults {
  /** So many extrinsics are taken and never included. */
  drop: number;
}

export class Chain {
  readonly netuid: number;
  readonly beacon: ChainBeacon | null;
  readonly blockMs: number;
  readonly faults: Faults = { drop: 0 };
  readonly genesis: string;
  readonly blocks = new Map<string, Block>();
  best: Block;
  finalized: Block;
  readonly pool = new Map<string, Extrinsic>();
  readonly #now: () => number;
  readonly #tasks: ((block: BlockBeing) => void)[] = [];
  readonly #listeners = new Set<(what: 'best' | 'finalized') => void>();
  #runtime: Runtime;
  /** Tells forks of the same content apart. */
  #salt = 0;

  constructor(ask: ChainAsk, kept?: Kept) {
    this.netuid = ask.netuid;
    this.beacon = ask.beacon ?? null;
    this.blockMs = ask.blockMs ?? 1_000;
    this.#now = ask.now ?? Date.now;
    const first = seal({ number: 0, parent: `0x${'00'.repeat(32)}`, extrinsics: [], salt: 0 }, genesisState(ask), {
      spec: ask.spec ?? 424,
      changed: false,
    });
    this.genesis = kept?.genesis ?? first.hash;
    this.best = kept === undefined ? first : { ...kept.head, state: new State(kept.head.entries) };
    this.#runtime = this.best.runtime;
    this.finalized = this.best;
    this.blocks.set(this.best.hash, this.best);
  }

  /** The next block on `parent`; the best one from now on. */
  produce({ on: parent = this.best, withPool = true } = {}): Block {
    const block: BlockBeing = {
      number: parent.number + 1,
      nowMs: this.#now(),
      state: parent.state.fork(),
      beacon: this.beacon,
      phase: INITIALIZATION,
      events: [],
    };
    this.#begin(block, parent);
    const time = timeExtrinsic(block.nowMs);
    const extrinsics = [time];
    applied(block, 0, () => block.state.set(ITEMS.now, [], BigInt(block.nowMs)), false);
    if (withPool) this.#include(block, parent, extrinsics);
    block.state.set(ITEMS.eventCount, [], block.events.length);
    block.state.set(
      ITEMS.events,
      [],
      block.events.map((one) => ({ ...one, topics: [] })),
    );
    const head = { number: block.number, parent: parent.hash, extrinsics: extrinsics.map(hex), salt: this.#salt++ };
    const made = seal(head, block.state, this.#runtime);
    this.blocks.set(made.hash, made);
    this.best = made;
    this.#forget();
    this.#tell('best');
    return made;
  }

  #begin(block: BlockBeing, parent: Block): void {
    const { state } = block;
    state.set(ITEMS.number, [], block.number);
    state.set(ITEMS.parentHash, [], unhex(parent.hash));
    state.set(ITEMS.blockHash, [parent.number], unhex(parent.hash));
    state.remove(ITEMS.blockHash, [parent.number - CHAIN_LIMITS.hashes]);
    if (parent.runtime.spec !== this.#runtime.spec) emit(block, { type: 'System', value: { _0: { type: 'CodeUpdated', value: {} } } });
    if (this.beacon !== null) state.set(ITEMS.lastStoredRound, [], BigInt(roundAt(this.beacon.chain, block.nowMs)));
    for (const task of this.#tasks.splice(0)) task(block);
    beginSubnet(block, this.netuid);
  }

  #include(block: BlockBeing, parent: Block, extrinsics: Uint8Array[]): void {
    const on = { ...this.#on(parent), state: block.state };
    // One account's extrinsics may have come in any order.
    for (const waiting of [...this.pool.values()].toSorted((a, b) => a.nonce - b.nonce)) {
      const invalid = invalidityOf(waiting, on);
      if (invalid?.kind === 'Future') continue;
      this.pool.delete(hex(waiting.hash));
      if (invalid !== null) continue;
      const index = extrinsics.push(waiting.bytes) - 1;
      spendNonce(block, waiting);
      applied(block, index, () => waiting.call.run(block, waiting.who), waiting.call.paysFee);
    }
  }

  /** This block and all before it; the best one if nothing is said. */
  finalize(block = this.best): void {
    if (!this.line(block).includes(this.finalized)) throw new Error('finality does not go back');
    this.finalized = block;
    if (!this.line(this.best).includes(block)) this.best = block;
    this.#tell('finalized');
  }

  /** The last blocks that are not final are replaced by others, one more of them; what was in them is lost or waits again. */
  reorganise(depth: number, { lose = false } = {}): void {
    const line = this.line(this.best);
    const deepest = line.length - 1 - line.indexOf(this.finalized);
    const back = Math.min(depth, deepest);
    const on = line[line.length - 1 - back] ?? this.finalized;
    const undone = line.slice(line.length - back).flatMap(({ extrinsics }) => extrinsics.slice(1));
    this.best = on;
    for (let i = 0; i <= back; i++) this.produce({ withPool: false });
    if (!lose) for (const extrinsic of undone.map((text) => openExtrinsic(unhex(text)))) this.pool.set(hex(extrinsic.hash), extrinsic);
  }

  /** Brings another runtime with the next block. */
  upgrade(runtime: Partial<Runtime>): void {
    this.#runtime = { ...this.#runtime, ...runtime };
  }

  /** Does this at the start of the next block, as its root would. False: too much waits. */
  schedule(task: (block: BlockBeing) => void): boolean {
    if (this.#tasks.length >= CHAIN_LIMITS.tasks) return false;
    this.#tasks.push(task);
    return true;
  }

  /** Registers a hotkey with the next block, for nothing; `rao` of TAO and a stake come with it. False: too much waits. */
  enlist({ hotkey, coldkey = hotkey, stake = 0n, rao = 0n }: { hotkey: string; coldkey?: string; stake?: bigint; rao?: bigint }): boolean {
    return this.schedule((block) => {
      const { state } = block;
      if (state.find(ITEMS.uids, this.netuid, hotkey) === null) register(block, { netuid: this.netuid, hotkey, coldkey });
      if (stake > 0n) state.set(ITEMS.alpha, [hotkey, this.netuid], stake);
      if (rao > 0n) addBalance(block, coldkey, rao);
    });
  }

  /** Known blocks up to this one, the oldest first. */
  line(to: Block): Block[] {
    const line: Block[] = [];
    for (let at: Block | undefined = to; at !== undefined; at = this.blocks.get(at.parent)) line.push(at);
    return line.reverse();
  }

  /** Hash of the block of this number on the best line; null: there is none, or it is forgotten. */
  hashAt(number: number): string | null {
    if (number === 0) return this.genesis;
    if (number === this.best.number) return this.best.hash;
    const known = number > this.best.number ? null : this.best.state.find(ITEMS.blockHash, number);
    return known === null || known.every((byte) => byte === 0) ? null : hex(known);
  }

  /** Takes an extrinsic into the pool; its hash. Throws `Refused`, `Undecodable`. */
  submit(bytes: Uint8Array): string {
    const extrinsic = openExtrinsic(bytes);
    const hash = hex(extrinsic.hash);
    if (this.pool.has(hash)) throw new Refused({ kind: 'Known' });
    const invalid = this.validate(extrinsic);
    if (invalid !== null && invalid.kind !== 'Future') throw new Refused(invalid);
    if (this.pool.size >= CHAIN_LIMITS.pool) throw new Refused({ kind: 'Full' });
    if (this.faults.drop > 0) this.faults.drop--;
    else this.pool.set(hash, extrinsic);
    return hash;
  }

  /** As the next block would find it. */
  validate(extrinsic: Extrinsic, at = this.best): Invalidity | null {
    return invalidityOf(extrinsic, this.#on(at));
  }

  #on(parent: Block): On {
    // The hash of the parent is in no state yet.
    const state = parent.state.fork();
    state.set(ITEMS.blockHash, [parent.number], unhex(parent.hash));
    return { state, number: parent.number + 1, genesis: unhex(this.genesis), spec: parent.runtime.spec };
  }

  /** The next nonce of an account, with what waits. */
  nextNonce(who: string): number {
    let nonce = this.best.state.get(ITEMS.account, who).nonce;
    const waiting = new Set([...this.pool.values()].filter((one) => one.who === who).map((one) => one.nonce));
    while (waiting.has(nonce)) nonce++;
    return nonce;
  }

  onBlock(listener: (what: 'best' | 'finalized') => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(what: 'best' | 'finalized'): void {
    for (const listener of this.#listeners) listener(what);
  }

  #forget(): void {
    for (const { hash, number } of this.blocks.values()) if (number <= this.best.number - CHAIN_LIMITS.blocks) this.blocks.delete(hash);
  }

  /** What a later start needs to go on. */
  keep(): Kept {
    const { state, ...head } = this.finalized;
    return { genesis: this.genesis, head: { ...head, entries: [...state.entries] } };
  }
}

/** A chain as a file keeps it. */
export interface Kept {
  genesis: string;
  head: Omit<Block, 'state'> & { entries: [string, string][] };
}

function applied(block: BlockBeing, index: number, run: () => void, paysFee: boolean): void {
  const phase: Phase = { type: 'ApplyExtrinsic', value: { _0: index } };
  block.phase = phase;
  const dispatch_info = infoOf(paysFee);
  try {
    run();
    emit(block, { type: 'System', value: { _0: { type: 'ExtrinsicSuccess', value: { dispatch_info } } } });
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    const value = { dispatch_error: error.dispatch, dispatch_info };
    emit(block, { type: 'System', value: { _0: { type: 'ExtrinsicFailed', value } } });
  }
}

function spendNonce(block: BlockBeing, { who, nonce, call, tip }: Extrinsic): void {
  const info = block.state.get(ITEMS.account, who);
  block.state.set(ITEMS.account, [who], { ...info, nonce: nonce + 1 });
  if (call.paysFee) addBalance(block, who, -FEE - tip);
}

function seal(
  { number, parent, extrinsics, salt }: { number: number; parent: string; extrinsics: string[]; salt: number },
  state: State,
  runtime: Runtime,
): Block {
  const changes = [...state.touched].map((key) => `${key}=${state.entries.get(key) ?? ''}`).join('\n');
  const stateRoot = hash256(Buffer.from(`${parent}\n${salt}\n${changes}`));
  const extrinsicsRoot = hash256(Buffer.from(extrinsics.join()));
  const header = Uint8Array.from([...unhex(parent), ...compactBytes(BigInt(number)), ...stateRoot, ...extrinsicsRoot, 0]);
  return {
    number,
    hash: hex(hash256(header)),
    parent,
    stateRoot: hex(stateRoot),
    extrinsicsRoot: hex(extrinsicsRoot),
    extrinsics,
    state,
    runtime,
  };
}

function hash256(bytes: Uint8Array): Uint8Array {
  return blake2b(bytes, { dkLen: 32 });
}
