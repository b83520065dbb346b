/** What a WebSocket client is told as it comes: heads, versions, storage, and what becomes of an extrinsic. */
import type { Block, Chain } from './chain.ts';
import { answer, headerOf, RpcError, runtimeOf, submitted, type Node } from './rpc.ts';

/** Subscriptions of one connection. */
const MOST = 256;

export interface Subscriber {
  /** Tells the client; `method` is the one that goes with the subscription. */
  send(method: string, subscription: string, result: unknown): void;
}

type Watch = () => void;
type Start = (node: Node, params: readonly unknown[], tell: (result: unknown) => void) => (what: 'best' | 'finalized') => void;

interface Kind {
  method: string;
  start: Start;
}

const heads = (of: (chain: Chain) => Block, on: 'best' | 'finalized'): Start => {
  return ({ chain }, _, tell) => {
    let last = of(chain);
    tell(headerOf(last));
    return (what) => {
      if (what !== on) return;
      // Every head is told, none is left out.
      const line = chain.line(of(chain));
      const from = line.indexOf(last);
      for (const block of from < 0 ? line.slice(-1) : line.slice(from + 1)) tell(headerOf(block));
      last = of(chain);
    };
  };
};

const KINDS: Record<string, Kind> = {
  chain_subscribeAllHeads: { method: 'chain_allHead', start: heads((chain) => chain.best, 'best') },
  chain_subscribeNewHeads: { method: 'chain_newHead', start: heads((chain) => chain.best, 'best') },
  chain_subscribeNewHead: { method: 'chain_newHead', start: heads((chain) => chain.best, 'best') },
  chain_subscribeFinalizedHeads: { method: 'chain_finalizedHead', start: heads((chain) => chain.finalized, 'finalized') },
  state_subscribeRuntimeVersion: {
    method: 'state_runtimeVersion',
    start({ chain }, _, tell) {
      let last = chain.best.runtime.spec;
      tell(runtimeOf(chain.best));
      return () => {
        if (chain.best.runtime.spec !== last) tell(runtimeOf(chain.best));
        last = chain.best.runtime.spec;
      };
    },
  },
  state_subscribeStorage: {
    method: 'state_storage',
    start(node, [keys], tell) {
      const read = () => answer(node, 'state_queryStorageAt', [keys]) as [{ block: string; changes: [string, string | null][] }];
      const known = new Map<string, string | null>(read()[0].changes);
      tell(read()[0]);
      return (what) => {
        if (what !== 'best') return;
        const [{ block, changes }] = read();
        const changed = changes.filter(([key, value]) => known.get(key) !== value);
        for (const [key, value] of changed) known.set(key, value);
        if (changed.length > 0) tell({ block, changes: changed });
      };
    },
  },
  author_submitAndWatchExtrinsic: {
    method: 'author_extrinsicUpdate',
    start({ chain }, [extrinsic], tell) {
      submitted(chain, extrinsic);
      const text = String(extrinsic).toLowerCase();
      let included: Block | null = null;
      let isOver = false;
      tell('ready');
      return (what) => {
        if (what === 'best' && included === null && chain.best.extrinsics.includes(text)) {
          included = chain.best;
          tell({ inBlock: included.hash });
        }
        if (what === 'finalized' && !isOver && included !== null && included.number <= chain.finalized.number) {
          isOver = true;
          tell({ finalized: included.hash });
        }
      };
    },
  },
};

/** Subscriptions of one connection. */
export class Subscriptions {
  readonly #node: Node;
  readonly #subscriber: Subscriber;
  readonly #running = new Map<string, Watch>();
  #next = 1;

  constructor(node: Node, subscriber: Subscriber) {
    this.#node = node;
    this.#subscriber = subscriber;
  }

  /** Undefined: it is no method of subscriptions. Throws `RpcError`. `after`: runs what must come after the answer. */
  handle(method: string, params: readonly unknown[], after: (task: () => void) => void): unknown {
    const kind = KINDS[method];
    if (kind !== undefined) return this.#start(kind, params, after);
    if (/_(un(subscribe|watch))/.test(method)) return this.#stop(String(params[0]));
    return undefined;
  }

  #start({ method, start }: Kind, params: readonly unknown[], after: (task: () => void) => void): string {
    if (this.#running.size >= MOST) throw new RpcError(-32_006, 'Too many subscriptions on the connection');
    const id = `s${this.#next++}`;
    const early: unknown[] = [];
    let isAnswered = false;
    const tell = (result: unknown) => (isAnswered ? this.#subscriber.send(method, id, result) : void early.push(result));
    const watch = start(this.#node, params, tell);
    this.#running.set(id, this.#node.chain.onBlock(watch));
    after(() => {
      isAnswered = true;
      for (const result of early) this.#subscriber.send(method, id, result);
    });
    return id;
  }

  #stop(id: string): boolean {
    this.#running.get(id)?.();
    return this.#running.delete(id);
  }

  close(): void {
    for (const stop of this.#running.values()) stop();
    this.#running.clear();
  }
}
