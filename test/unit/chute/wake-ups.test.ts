/** No wake-up is lost: whatever order messages take, and whichever are lost, no call waits while a slot it can use is free. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CallId } from '../../../functions/calls/ports.ts';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import type { Effect } from '../../../functions/chute/state.ts';
import { CHUTE, World } from './world.ts';

const AGENTS = ['m1', 'm2'];
const SLOTS = 2;
const KEEP_MS = 5_000;
const OFFER_RETRY_MS = 1_000;

interface FakeInstance {
  id: string;
  running: number;
  kept: Map<CallId, number>;
  offers: Map<number, number>;
  watched: boolean;
  connected: boolean;
}

/** A message under way: it arrives, or it is lost and its sender learns that. */
interface Message {
  arrive: () => void;
  lose: () => void;
}

/** A Chute core, Miners that behave as the port says, and a network without order between them. */
class Net {
  readonly world = new World();
  readonly miners = new Map<string, FakeInstance>();
  readonly underway: Message[] = [];
  /** Calls whose Worker waits for a slot, with what it needs to ask again. */
  readonly waiting = new Map<CallId, { account: string; since: number; tried: string[] }>();
  #offers = 0;
  #calls = 0;

  constructor() {
    this.world.deploy('a', { min: 2, max: 2, concurrency: SLOTS });
    for (const name of AGENTS)
      this.miners.set(name, {
        id: this.world.live(name, 'a'),
        running: 0,
        kept: new Map(),
        offers: new Map(),
        watched: false,
        connected: true,
      });
    this.drain();
  }

  // ── what Workers do ──

  /** `tried`: agents whose instance has failed the call. */
  arrive(account: string, agents: string[]): void {
    const call = `c${++this.#calls}`;
    const tried = agents.map((name) => this.miner(name).id);
    this.waiting.set(call, { account, since: this.world.now, tried });
    this.ask(call);
  }

  ask(call: CallId): void {
    const it = this.waiting.get(call);
    if (it === undefined) return;
    const answer = this.world.enqueue(call, { ...it, deadlineMs: 1e12 });
    if (answer.kind === 'refused') this.waiting.delete(call);
    this.drain();
  }

  leave(call: CallId): void {
    this.waiting.delete(call);
    this.world.do(this.world.core.leave(call, this.world.now));
    this.drain();
  }

  /** A Worker that was told a slot uses it, or died meanwhile. */
  told(call: CallId, instance: string, alive: boolean): void {
    this.waiting.delete(call);
    const miner = [...this.miners.values()].find((it) => it.id === instance);
    if (alive && miner?.kept.delete(call) === true) miner.running++;
  }

  // ── what Miners do ──

  free(miner: FakeInstance): number {
    return SLOTS - miner.running - miner.kept.size - miner.offers.size;
  }

  newcomer(name: string): void {
    const miner = this.miner(name);
    if (miner.connected && !miner.watched && this.free(miner) > 0) miner.running++;
  }

  finish(name: string): void {
    const miner = this.miner(name);
    if (miner.running === 0) return;
    miner.running--;
    this.offer(name);
  }

  /** The agent's socket goes, and comes back. */
  cut(name: string): void {
    this.miner(name).connected = false;
    this.world.do(this.world.core.gone(name, this.world.now));
    this.drain();
  }

  back(name: string): void {
    const miner = this.miner(name);
    if (miner.connected) return;
    miner.connected = true;
    // Known no more after the grace: the agent stops it and starts anew.
    if (!this.world.report(name, miner.id, 'a', 'live', miner.running).known) {
      this.world.pass(60_000);
      Object.assign(miner, { id: this.world.live(name, 'a'), running: 0, watched: false });
      miner.kept.clear();
      miner.offers.clear();
    }
    this.drain();
  }

  offer(name: string): void {
    const miner = this.miner(name);
    if (!miner.connected || !miner.watched || this.free(miner) <= 0) return;
    const number = ++this.#offers;
    miner.offers.set(number, this.world.now + OFFER_RETRY_MS);
    this.sendOffer(name, number);
  }

  sendOffer(name: string, number: number): void {
    const miner = this.miner(name);
    this.send(() => {
      const call = this.world.do(this.world.core.freed(name, miner.id, this.world.now));
      this.drain();
      this.send(() => {
        if (miner.offers.delete(number) && call !== null) miner.kept.set(call, this.world.now + KEEP_MS);
      });
    });
  }

  tick(): void {
    for (const [name, miner] of this.miners) {
      for (const [call, until] of miner.kept) {
        if (until > this.world.now) continue;
        miner.kept.delete(call);
        this.offer(name);
      }
      for (const [number, at] of miner.offers) {
        if (at > this.world.now) continue;
        miner.offers.set(number, this.world.now + OFFER_RETRY_MS);
        this.sendOffer(name, number);
      }
    }
  }

  miner(name: string): FakeInstance {
    const miner = this.miners.get(name);
    if (miner === undefined) throw new Error(`no ${name}`);
    return miner;
  }

  // ── the network ──

  send(arrive: () => void, lose: () => void = () => undefined): void {
    this.underway.push({ arrive, lose });
  }

  /** Turns effects into messages. */
  drain(): void {
    const effects = this.world.effects;
    this.world.effects = [];
    for (const effect of effects) this.carry(effect);
  }

  carry(effect: Effect): void {
    const { core } = this.world;
    const back = (work: () => void): void => {
      // An answer to an object that was evicted meanwhile finds nobody.
      if (this.world.core === core) work();
      this.drain();
    };
    if (effect.do === 'watch') {
      const none = () => back(() => this.world.do(core.watched(effect.agent, null, this.world.now)));
      this.send(() => {
        const miner = this.miner(effect.agent);
        if (miner.connected) miner.watched = true;
        miner.offers.clear();
        const told = !miner.connected ? [] : [{ instance: miner.id, free: this.free(miner) }];
        this.send(() => back(() => this.world.do(core.watched(effect.agent, told, this.world.now))), none);
      }, none);
    } else if (effect.do === 'unwatch') {
      const done = (ok: boolean) => back(() => this.world.do(core.unwatched(effect.agent, ok, this.world.now)));
      this.send(
        () => {
          const miner = this.miner(effect.agent);
          miner.watched = false;
          miner.offers.clear();
          this.send(
            () => done(true),
            () => done(false),
          );
        },
        () => done(false),
      );
    } else if (effect.do === 'reserve') {
      const done = (ok: boolean) => back(() => this.world.do(core.reserved(effect.instance, effect.call, ok, this.world.now)));
      this.send(
        () => {
          const miner = this.miner(effect.agent);
          const ok = miner.connected && miner.id === effect.instance && (miner.kept.has(effect.call) || this.free(miner) > 0);
          if (ok) miner.kept.set(effect.call, this.world.now + KEEP_MS);
          this.send(
            () => done(ok),
            () => done(false),
          );
        },
        () => done(false),
      );
    } else if (effect.do === 'release') {
      this.send(() => {
        if (this.miner(effect.agent).kept.delete(effect.call)) this.offer(effect.agent);
      });
    } else if (effect.do === 'resolve' && effect.answer.kind === 'slot') {
      const { instance } = effect.answer.instance;
      const alive = this.waiting.has(effect.call);
      // A Worker whose wait broke asks again.
      this.send(
        () => this.told(effect.call, instance, alive),
        () => this.ask(effect.call),
      );
    }
  }

  deliver(pick: number, lost: boolean): void {
    const [message] = this.underway.splice(pick % Math.max(1, this.underway.length), 1);
    if (lost) message?.lose();
    else message?.arrive();
    this.drain();
  }

  /** The object is evicted: what it knew beyond its rows is gone, and Workers that waited ask again. */
  evict(): void {
    this.world.rebuild();
    for (const call of this.waiting.keys()) this.ask(call);
  }

  pass(ms: number): void {
    this.world.pass(ms);
    this.drain();
    this.tick();
  }

  settle(): void {
    for (const name of AGENTS) this.back(name);
    for (let round = 0; round < 40; round++) {
      while (this.underway.length > 0) this.deliver(0, false);
      this.pass(1_000);
    }
    while (this.underway.length > 0) this.deliver(0, false);
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('deliver' as const), pick: fc.nat(20), lost: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('deliver' as const), pick: fc.nat(20), lost: fc.constant(false) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('arrive' as const),
      account: fc.constantFrom('A', 'B', 'C'),
      tried: fc.subarray(AGENTS, { maxLength: 1 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('finish' as const), agent: fc.constantFrom(...AGENTS) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('newcomer' as const), agent: fc.constantFrom(...AGENTS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), pick: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(10, 700, 1_100, 6_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), agent: fc.constantFrom(...AGENTS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('back' as const), agent: fc.constantFrom(...AGENTS) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'evict' as const }) },
);

function play(net: Net, steps: (typeof step extends fc.Arbitrary<infer S> ? S : never)[]): void {
  for (const it of steps) {
    if (it.kind === 'deliver') net.deliver(it.pick, it.lost);
    else if (it.kind === 'arrive') net.arrive(it.account, it.tried);
    else if (it.kind === 'finish') net.finish(it.agent);
    else if (it.kind === 'newcomer') net.newcomer(it.agent);
    else if (it.kind === 'pass') net.pass(it.ms);
    else if (it.kind === 'cut') net.cut(it.agent);
    else if (it.kind === 'back') net.back(it.agent);
    else if (it.kind === 'evict') net.evict();
    else net.leave([...net.waiting.keys()][it.pick % Math.max(1, net.waiting.size)] ?? '');
  }
}

test('in quiet, no call waits while a slot it can use is free', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const net = new Net();
      play(net, steps);
      net.settle();
      for (const [call, { tried }] of net.waiting) {
        for (const [name, miner] of net.miners)
          if (!tried.includes(miner.id)) expect({ call, name, free: net.free(miner) }).toMatchObject({ free: 0 });
      }
      // Nobody waits: nobody is watched, so newcomers need no queue. (An evicted object forgets; the next call mends it.)
      const evicted = steps.some((it) => it.kind === 'evict');
      if (net.waiting.size === 0 && !evicted) expect([...net.miners.values()].map((miner) => miner.watched)).toEqual([false, false]);
      for (const miner of net.miners.values()) expect(miner.running + miner.kept.size + miner.offers.size).toBeLessThanOrEqual(SLOTS);
      const free = [...net.miners.values()].some((miner) => net.free(miner) > 0);
      net.arrive('new', []);
      net.settle();
      if (free) expect(net.waiting.size).toBe([...net.waiting.values()].filter((it) => it.account !== 'new').length);
      expect([...net.miners.values()].filter((miner) => miner.watched).length === 0 || net.waiting.size > 0).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('an object rebuilt from its rows is the object: same snapshot, versions, instances and need', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const net = new Net();
      play(net, steps);
      const { world } = net;
      const face = () => {
        const view = world.core.describe(world.now);
        return {
          ...view,
          waiting: 0,
          instances: view?.instances.map((row) => ({ ...row, busy: 0 })),
          versions: world.core.versions(),
          chute: CHUTE,
        };
      };
      const before = face();
      world.rebuild();
      expect(face()).toEqual(before);
    }),
    { numRuns: 100 },
  );
});

test('the keep and retry times of the test are within the bounds of the code', () => {
  expect(BOUNDS.outcomeMs).toBeLessThanOrEqual(KEEP_MS);
});
