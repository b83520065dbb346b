/** One run: the network of a seed, its calls and its faults, until it is at rest. */
import { chuteConfigSchema, type VersionSpec } from '#protocol';
import type { NewKey } from '../../functions/account/core.ts';
import type { KeyCap } from '../../functions/account/rows.ts';
import { newCallId } from '../../functions/calls/call-id.ts';
import { Books, NEW_MONTH } from './books.ts';
import { Bounties } from './bounties.ts';
import { Clock } from './clock.ts';
import { Director } from './director.ts';
import { Faults } from './faults.ts';
import { Network } from './network.ts';
import { AccountNode } from './nodes/account.ts';
import { AgentNode } from './nodes/agent.ts';
import { ChuteNode } from './nodes/chute.ts';
import { ClientCall } from './nodes/client.ts';
import { MinerNode } from './nodes/miner.ts';
import { PostgresNode } from './nodes/postgres.ts';
import { WorkerNode } from './nodes/worker.ts';
import { Oracle } from './oracle.ts';
import { Random } from './random.ts';
import { MODEL } from './script.ts';
import { Tariff } from './tariff.ts';
import { Trace } from './trace.ts';

/** Clients that want to see the usage of a stream, that say they do not, and that say nothing. */
const STREAMS = [
  { usage: true, options: true },
  { usage: false, options: true },
  { usage: false, options: false },
].map((wish) => ({ object: 'chat.completion.chunk' as const, model: MODEL, choices: 1, ...wish }));

const AGENTS = 3;
/** Milliseconds by which a dispatch may come late. */
const LATE_MS = 60_000;
/** Nano-USD that no run can spend. */
const RICH = { cash: 1_000_000_000_000n, promo: 0n };
const ACCOUNTS = ['acc_a', 'acc_b', 'acc_c'];
/** Milliseconds after faults and calls within which everything must be at rest. */
const REST_MS = 150_000;
const SAMPLE_MS = 250;
/** Events between two samples at most; more means that time does not go on. */
const MANY_EVENTS = 50_000;
/** Milliseconds that slots kept in vain need to be free again. */
const AFTERMATH_MS = 7_000;
/** Milliseconds within which idle credit is back, tries that fail included. */
const IDLE_MS = 2 * 60_000;

/** An invariant that did not hold. */
export class Broken extends Error {
  readonly invariant: string;
  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
  }
}

export class Sim {
  readonly seed: number;
  readonly random: Random;
  readonly clock = new Clock();
  readonly trace: Trace;
  readonly faults: Faults;
  readonly network: Network;
  readonly oracle: Oracle;
  readonly books: Books;
  readonly bounties: Bounties;
  readonly tariff: Tariff;
  readonly postgres: PostgresNode;
  readonly chute: ChuteNode;
  readonly agents: AgentNode[];
  readonly workers: WorkerNode[];
  readonly miners = new Map<string, MinerNode>();
  readonly accounts = new Map<string, AccountNode>();
  private readonly template: 'openai' | 'http';
  private readonly timeoutS: number;
  private readonly concurrency: number;
  /** Nobody is short of money in this run, so that everything else comes far. */
  readonly rich: boolean;
  /** The chute is its owner's alone, and its instances may be paid by time. */
  readonly private: boolean;
  private versions = 0;
  private dirty = false;
  private broken: Broken | null = null;
  private readonly chuteId = 'cht_demo';

  constructor(seed: number, print: boolean) {
    this.seed = seed;
    this.random = new Random(seed);
    if (this.random.chance(0.1)) this.clock.now = NEW_MONTH - this.random.int(0, 40_000);
    this.trace = new Trace(this.clock.now, print);
    this.faults = new Faults(
      () => this.clock.now,
      (kind, detail) => this.trace.add(this.clock.now, `FAULT.${kind}`, detail),
    );
    const { random } = this;
    this.template = random.chance(0.7) ? 'openai' : 'http';
    this.timeoutS = random.pick([4, 8, 15, 30, 90]);
    this.rich = random.chance(0.5);
    this.private = random.chance(0.15);
    this.concurrency = random.pick([1, 1, 2, 3]);
    this.network = new Network(this.clock, random, this.faults);
    this.oracle = new Oracle(this, this.template);
    this.books = new Books(this);
    this.bounties = new Bounties(this);
    this.tariff = new Tariff(random);
    this.postgres = new PostgresNode(this);
    this.chute = new ChuteNode(this);
    this.workers = [new WorkerNode(this, 'worker/a'), new WorkerNode(this, 'worker/b')];
    this.agents = Array.from({ length: AGENTS }, (_, i) => new AgentNode(this, `agt_${i}`));
    for (const { agent } of this.agents) this.miners.set(agent, new MinerNode(this, agent));
    for (const id of ACCOUNTS) this.accounts.set(id, new AccountNode(this, id));
  }

  get now(): number {
    return this.clock.now;
  }

  miner(agent: string): MinerNode {
    return this.miners.get(agent) as MinerNode;
  }

  account(id: string): AccountNode {
    return this.accounts.get(id) as AccountNode;
  }

  /** Promises that conductors wait for: the kernel lets what hangs on them run before time goes on. */
  make<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    promise.catch(() => {});
    return {
      promise,
      resolve: (value) => {
        this.dirty = true;
        resolve(value);
      },
      reject: (error) => {
        this.dirty = true;
        reject(error);
      },
    };
  }

  touched(): void {
    this.dirty = true;
  }

  fail(invariant: string, detail: string): void {
    this.broken ??= new Broken(invariant, detail);
  }

  /** A keyed hash that is good enough among friends. */
  readonly mac = (bytes: Uint8Array): Uint8Array => {
    let h = 0x12345;
    for (const byte of bytes) h = Math.imul(h ^ byte, 0x01000193);
    return Uint8Array.from({ length: 16 }, (_, i) => (Math.imul(h, i * 2 + 1) >>> 11) & 255);
  };

  hasher(): { update(bytes: Uint8Array): void; hex(): string } {
    let size = 0;
    return { update: (bytes) => void (size += bytes.byteLength), hex: () => size.toString(16).padStart(64, '0') };
  }

  // ── the run ──

  async run(): Promise<void> {
    this.found();
    const director = new Director(this);
    director.start();
    await this.go(() => director.done);
    this.faults.stop();
    // Calm again: more calls at once than there are slots.
    this.clock.after(this.random.int(6_500, 8_000), () => this.wave(this.random.int(3, 6), 400));
    this.clock.after(this.random.int(9_000, 11_000), () => this.wave(this.random.int(5, 10), 300));
    const restAt = (): number =>
      Math.max(this.lastCallAt, this.faults.lastAt, this.postgres.downUntil) +
      this.timeoutS * 1000 +
      REST_MS +
      (this.faults.fired.has('dispatch_late') ? LATE_MS : 0);
    await this.go(() => {
      if (this.waves < 3 || this.now <= this.lastCallAt) return false;
      const unrest = this.oracle.unrest();
      if (unrest !== null && this.now > restAt()) this.fail('everything comes to rest', unrest);
      return unrest === null;
    });
    const until = this.now + AFTERMATH_MS;
    await this.go(() => this.now >= until);
    this.oracle.finish();
    await this.idle();
    this.books.finish();
    if (this.broken !== null) throw this.broken;
  }

  /** Nobody is there for so long that all credit goes back. */
  private async idle(): Promise<void> {
    for (const agent of this.agents) if (!agent.lost) agent.crash(null);
    const until =
      Math.max(this.now, this.postgres.downUntil) + IDLE_MS + Math.max(...[...this.accounts.values()].map(({ idleMs }) => idleMs));
    await this.go(() => this.now >= until);
  }

  private async go(done: () => boolean): Promise<void> {
    let sampleAt = this.now;
    for (;;) {
      sampleAt += SAMPLE_MS;
      for (let events = 0; this.clock.step(sampleAt); events++) {
        if (events > MANY_EVENTS) this.fail('everything comes to rest', 'events follow each other without end');
        if (this.dirty) await this.settle();
        if (this.broken !== null) throw this.broken;
      }
      this.clock.now = sampleAt;
      this.oracle.sample();
      this.books.sample();
      if (this.broken !== null) throw this.broken;
      if (done()) return;
    }
  }

  /** Conductors run until each waits again for something of ours. */
  private async settle(): Promise<void> {
    while (this.dirty) {
      this.dirty = false;
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    }
  }

  private found(): void {
    for (const account of this.accounts.values()) account.register();
    this.deploy();
    this.price(0);
    for (const account of this.accounts.values()) this.foundAccount(account);
    for (const agent of this.agents) agent.start();
    this.wave(this.random.int(5, 9), 9_000);
  }

  /** With money or hardly any, and two keys, of which one may be capped. */
  private foundAccount(account: AccountNode): void {
    const { random, postgres } = this;
    const key = (name: string, cap: KeyCap | null): NewKey => ({
      key: name,
      name,
      proof: 'proof',
      scopes: ['invoke'],
      expiresAt: null,
      cap,
    });
    const { account: id } = account;
    if (this.rich) {
      account.found([key(`key_${id}_0`, null), key(`key_${id}_1`, null)], []);
      return postgres.credit(id, RICH);
    }
    const some = { cash: this.little(), promo: random.chance(0.5) ? this.little() : 0n };
    account.found([key(`key_${id}_0`, null), key(`key_${id}_1`, this.randomCap())], this.tariff.favour(id));
    postgres.credit(id, random.pick([RICH, RICH, { cash: 0n, promo: RICH.cash }, some, some]));
  }

  randomCap(): KeyCap | null {
    const { random } = this;
    return random.chance(0.6) ? null : { limit: this.little(), period: random.pick(['total', 'day', 'week', 'month']) };
  }

  /** Nano-USD that pay for some calls, for some blocks of one, or for nothing. */
  little(): bigint {
    const { random } = this;
    const some = BigInt(random.pick([0, random.int(0, 1_000), random.int(0, 1_000_000), random.int(0, 100_000_000)]));
    const block = this.tariff.blockOf(this.timeoutS * 1_000);
    return random.chance(0.4) ? some : BigInt(random.int(1, 9)) * block + some / 1_000n;
  }

  /** Another price of the chute from then on (unix ms). */
  price(startsAt: number): string {
    const { id } = this.tariff.change(startsAt, this.now, this.private && this.random.chance(0.8));
    this.chute.price(this.tariff.versions);
    return id;
  }

  deploy(): void {
    const version = (++this.versions).toString(16).padStart(64, '0');
    const config = chuteConfigSchema.parse({
      name: 'chat',
      public: !this.private,
      template: this.template,
      command: ['serve'],
      concurrency: this.concurrency,
      min: this.random.int(1, 3),
      max: 3,
      scale_up_after: this.random.pick([0, 0, 1, 5]),
      bounty: this.random.pick([0, 300_000_000, 9_000_000_000]),
      timeout: this.timeoutS,
      start_timeout: 20,
    });
    const spec: VersionSpec = { chute: this.chuteId, name: 'demo/chat', account: 'acc_a', version, config, code: null };
    this.bounties.most = Math.max(this.bounties.most, config.bounty ?? 0);
    this.chute.deploy(spec);
    this.trace.add(this.now, 'deploy', version.slice(-4));
  }

  // ── calls ──

  private waves = 0;
  private lastCallAt = 0;

  /** So many calls within so many milliseconds. */
  private wave(calls: number, withinMs: number): void {
    this.waves++;
    for (let i = 0; i < calls; i++) {
      const at = this.now + this.random.int(0, withinMs);
      this.lastCallAt = Math.max(this.lastCallAt, at);
      this.clock.at(at, () => this.call());
    }
  }

  private call(): void {
    const { random } = this;
    const account = this.private && random.chance(0.9) ? 'acc_a' : random.pick(ACCOUNTS);
    const safe = this.template === 'openai' || random.chance(0.3);
    const size = random.chance(0.03) ? random.int(100_000, 600_000) : random.int(0, 500);
    const units = { images: random.int(1, 4), steps: random.int(1, 50) };
    const stream = random.chance(0.7);
    const tokens = this.template === 'openai' && stream ? random.pick(STREAMS) : null;
    const options = tokens?.options === true ? { stream_options: { include_usage: tokens.usage } } : {};
    const body = new TextEncoder().encode(JSON.stringify({ n: units.images, steps: units.steps, ...options }).padEnd(size));
    const once = this.template === 'http' && !safe;
    const call = new ClientCall(
      this,
      {
        id: newCallId(this.now, random.bytes(16)),
        claim: { account, key: `key_${account}_${random.chance(0.6) ? 0 : 1}`, proof: 'proof' },
        chute: this.chuteId,
        method: once || this.template === 'openai' ? 'POST' : 'GET',
        path: this.template === 'openai' ? '/v1/chat/completions' : '/run?x=1',
        headers: [['content-type', 'application/json']],
        body,
        bodyBytes: body.byteLength,
        maxTokens: random.pick([null, null, random.int(1, 100), random.int(1_000, 6_000)]),
        stream,
        tokens,
        affinity: random.pick(['a', 'b', 'c']),
        instance: null,
      },
      safe,
      units,
    );
    this.oracle.calls.set(call.id, call);
    call.start();
    void random.pick(this.workers).serve(call);
    this.dirty = true;
  }
}
