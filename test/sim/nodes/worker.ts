/** A Worker isolate: the production conductor with ports that lead through the hostile network. */
import type { World } from '../../../functions/calls/call.ts';
import { conduct } from '../../../functions/calls/conduct.ts';
import { Finder } from '../../../functions/calls/find.ts';
import type { OpenAnswer, Place, QueueAnswer, RelayAnswer, RelayAsk, Snapshot, WaitAnswer } from '../../../functions/calls/ports.ts';
import { RipcordError } from '../../../functions/errors.ts';
import type { Host, ObjectHost } from '../network.ts';
import type { Sim } from '../sim.ts';
import type { ClientCall } from './client.ts';
import type { MinerNode, Request } from './miner.ts';

export class WorkerNode implements Host {
  readonly name: string;
  life = 0;
  private finder = new Finder();
  private readonly calls = new Set<ClientCall>();
  private readonly sim: Sim;

  constructor(sim: Sim, name: string) {
    this.sim = sim;
    this.name = name;
  }

  async serve(call: ClientCall): Promise<void> {
    const { life } = this;
    this.calls.add(call);
    const alive = (): boolean => this.life === life;
    try {
      const reply = await conduct(call.shaped, this.world(call));
      if (!alive()) return;
      call.headed(reply.status, reply.headers);
      if ('body' in reply) call.whole(reply.body);
      else await reply.pump(call.sink);
    } catch (error) {
      if (alive()) call.refused(error instanceof RipcordError ? error.code : 'internal');
    }
    if (alive()) call.conducted();
    this.calls.delete(call);
  }

  /** The isolate is gone: its clients are cut, and the objects it asked learn it. */
  die(silently: boolean): void {
    this.life++;
    this.finder = new Finder();
    for (const call of this.calls) {
      call.cut();
      if (!silently) for (const opened of call.opened) this.sim.clock.after(this.sim.network.delay(), opened.abort);
    }
    this.calls.clear();
  }

  private world(call: ClientCall): World {
    const { sim } = this;
    const ask = <T>(to: ObjectHost, what: string, serve: (answer: (value: T) => void) => void): Promise<T> => this.ask(to, what, serve);
    const { chute } = sim;
    return {
      find: (id, fresh) =>
        this.finder.find(
          id,
          fresh,
          sim.now,
          () => ask<Snapshot | null>(chute, 'snapshot', (answer) => answer(chute.snapshot())),
          (work) => void work.catch(() => {}),
        ),
      fold: (id, instance, code, busy) => this.finder.fold(id, instance, code, busy),
      account: (id) => {
        const account = sim.account(id);
        return {
          open: (open) => {
            if (call.asked === null) sim.books.asked(open);
            call.asked ??= structuredClone(open);
            return ask<OpenAnswer>(account, 'open', (answer) => account.open(structuredClone(open), answer));
          },
          widen: (id_, agents) => ask<boolean>(account, 'widen', (answer) => answer(account.widen(id_, agents))),
          close: (id_, attempts, code) => ask<void>(account, 'close', (answer) => answer(account.close(id_, attempts, code))),
          settle: notOurs,
          extend: notOurs,
          rent: notOurs,
        };
      },
      chute: () => ({
        enqueue: (ticket) => ask<QueueAnswer>(chute, 'enqueue', (answer) => answer(chute.enqueue(ticket))),
        wait: (id) =>
          ask<WaitAnswer | 'rejected'>(chute, 'wait', (answer) => chute.wait(id, answer)).then((a) => {
            if (a === 'rejected') throw new Error('this call does not wait here');
            return a;
          }),
        leave: (id) => ask<void>(chute, 'leave', (answer) => answer(chute.leave(id))),
        place: (id) => ask<Place | null>(chute, 'place', (answer) => answer(chute.core.place(id, sim.now))),
      }),
      miner: (agent) => {
        const miner = sim.miner(agent);
        return {
          relay: (relay, body, signal) => this.relay(call, miner, relay, body as Uint8Array, signal),
          attach: (id, attempt, offset, signal) => this.attach(call, miner, id, attempt, offset, signal),
          keep: (instance, version, id) => ask<boolean>(miner, 'keep', (answer) => answer(miner.keep(instance, version, id))),
        };
      },
      now: () => sim.now,
      random: sim.random.next,
      weights: () => new Map(),
      sleep: (ms) => {
        const { promise, resolve } = sim.make<void>();
        const { life } = this;
        sim.clock.after(ms, () => {
          if (this.life === life) resolve();
        });
        return promise;
      },
    };
  }

  private ask<T>(to: ObjectHost, what: string, serve: (answer: (value: T) => void) => void): Promise<T> {
    const { promise, resolve, reject } = this.sim.make<T>();
    this.sim.network.ask<T>(this, to, what, serve, resolve, () => reject(new Error('the object did not answer')));
    return promise;
  }

  private relay(
    call: ClientCall,
    miner: MinerNode,
    ask: RelayAsk,
    body: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<RelayAnswer> {
    const { sim } = this;
    sim.trace.add(sim.now, 'relay', `${miner.agent} ${ask.call}/${ask.attempt} on ${ask.instance}`);
    const held = sim.faults.take('dispatch_late', this.name) ? sim.random.int(1_000, 60_000) : 0;
    const copy = structuredClone(ask);
    return this.request(call, miner, 'relay', `${ask.call}/${ask.attempt}`, signal, held, (request) => miner.relay(copy, body, request));
  }

  private attach(
    call: ClientCall,
    miner: MinerNode,
    id: string,
    attempt: number,
    offset: number,
    signal: AbortSignal | undefined,
  ): Promise<RelayAnswer> {
    this.sim.trace.add(this.sim.now, 'attach', `${miner.agent} ${id}/${attempt} at ${offset}`);
    return this.request(call, miner, 'attach', `${id}/${attempt}`, signal, 0, (request) => miner.attach(id, attempt, offset, request));
  }

  /** A fetch of a Miner object: aborted by its signal, by the death of this isolate, or by a connection that breaks. */
  private request(
    call: ClientCall,
    miner: MinerNode,
    what: string,
    key: string,
    signal: AbortSignal | undefined,
    heldMs: number,
    serve: (request: Request) => void,
  ): Promise<RelayAnswer> {
    const { sim } = this;
    const { promise, resolve, reject } = sim.make<RelayAnswer>();
    let arrived = -1;
    let aborted = false;
    const abort = (): void => {
      aborted = true;
      if (arrived === miner.life) miner.aborted(key);
    };
    call.opened.push({ abort });
    const leave = (): void => {
      reject(new Error('aborted'));
      sim.clock.after(sim.network.delay(), abort);
    };
    if (signal?.aborted === true) leave();
    signal?.addEventListener('abort', leave, { once: true });
    const go = (): void =>
      sim.network.ask<RelayAnswer>(
        this,
        miner,
        what,
        (answer) => {
          arrived = miner.life;
          const request: Request = { aborted: false, answer };
          serve(request);
          if (aborted) miner.aborted(key);
        },
        resolve,
        () => {
          reject(new Error('the connection broke'));
          sim.clock.after(sim.network.delay(), abort);
        },
      );
    // A request that is held is one that left: it arrives even if the isolate dies meanwhile.
    if (heldMs === 0) go();
    else sim.clock.after(heldMs, go);
    return promise;
  }
}

/** Miner objects settle and extend, Chute objects pay rent. */
function notOurs(): Promise<never> {
  return Promise.reject(new Error('no Worker asks for this'));
}
