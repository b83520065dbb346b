/** Carries the core's effects out: dials, sends, talks to engines, keeps the one timer. What it cannot do, the owner gets. */
import { createHash } from 'node:crypto';
import type { Inventory } from '#protocol';
import { EngineCalls } from '../calls/engine.ts';
import type { Hotkey } from '../identity/hotkey.ts';
import { LoginRefused, agentOf, login } from '../identity/login.ts';
import type { SessionKeys } from '../identity/session.ts';
import { failureOf, type Outbound } from '../net/outbound.ts';
import type { Endpoint } from '../runtimes/endpoint.ts';
import { Core } from './core.ts';
import type { CoreEvent, Effect, Hasher } from './events.ts';
import { Socket } from './socket.ts';

/** Effects for the owner, and how dialling goes. */
export type Notice =
  | Extract<Effect, { type: 'heard' | 'blob' | 'blob-end' | 'blob-failed' | 'over' | 'drained' | 'served' }>
  | { type: 'link'; state: 'dialling' | 'up' | 'down'; detail: string }
  /** The edge will not have this agent. */
  | { type: 'refused'; message: string };

export interface DriverOptions {
  api: string;
  hotkey: Hotkey;
  name: string;
  keys: SessionKeys;
  inventory: Inventory;
  outbound: Outbound;
  endpointOf: (instance: string) => Endpoint | null;
  notice: (notice: Notice) => void;
}

export class Driver {
  readonly core: Core;
  /** Of the protocol, in the session that is or was; 0 before the first. What came with a later one is not said to an edge without it. */
  version = 0;
  /** This agent's id, once the edge told it; empty before. */
  agent = '';
  readonly #options: DriverOptions;
  readonly #engines: EngineCalls;
  readonly #queue: CoreEvent[] = [];
  readonly #ending = new AbortController();
  #socket: Socket | null = null;
  #working = false;
  #connectedOnce = false;
  #timer: NodeJS.Timeout | null = null;
  #timerAt = 0;
  #soon: NodeJS.Immediate | null = null;
  #redial: NodeJS.Timeout | null = null;

  constructor(options: DriverOptions) {
    this.#options = options;
    this.core = new Core({ hasher, sign: options.keys.sign, random: Math.random, inventory: options.inventory });
    this.#engines = new EngineCalls(options.endpointOf, (event) => this.dispatch(event));
  }

  start(): void {
    void this.#dial();
  }

  /** Ends everything at once; no notice follows. */
  stop(): void {
    this.#ending.abort();
    if (this.#redial !== null) clearTimeout(this.#redial);
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#soon !== null) clearImmediate(this.#soon);
    this.#engines.close();
  }

  /** Effects may bring events of their own; they wait for their turn. */
  dispatch(event: CoreEvent): void {
    if (this.#ending.signal.aborted) return;
    this.#queue.push(event);
    if (this.#working) return;
    this.#working = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        for (const effect of this.core.step(next, Date.now())) this.#carryOut(effect);
      }
    } finally {
      this.#working = false;
    }
    this.#plan();
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'send':
        return this.#socket?.send(effect.message);
      case 'close':
        this.#socket?.close(effect.code, effect.reason);
        this.#socket = null;
        return;
      case 'connect':
        this.#options.notice({ type: 'link', state: 'down', detail: `connecting again in ${(effect.inMs / 1000).toFixed(1)} s` });
        if (this.#redial !== null) clearTimeout(this.#redial);
        this.#redial = setTimeout(() => void this.#dial(), effect.inMs);
        return;
      case 'call':
        return this.#engines.call(effect.open);
      case 'write':
        return this.#engines.write(effect.attempt, effect.bytes);
      case 'finish':
      case 'pause':
      case 'continue':
      case 'cancel':
        return this.#engines[effect.type](effect.attempt);
      case 'blob':
      case 'blob-end':
      case 'blob-failed':
      case 'drained':
      case 'heard':
      case 'over':
      case 'served':
        return this.#options.notice(effect);
    }
  }

  async #dial(): Promise<void> {
    const { api, hotkey, name, keys, outbound, notice } = this.#options;
    notice({ type: 'link', state: 'dialling', detail: api });
    try {
      const { signal } = this.#ending;
      const header = await login(api, hotkey, name, keys, Date.now(), { outbound, signal, serving: this.core.serving });
      const socket = await Socket.dial({ api, header, outbound, signal }, this.#handlers());
      if (this.#ending.signal.aborted) return socket.close(1000, '');
      if (!socket.start()) throw new Error('the connection closed');
      this.#socket = socket;
      this.version = socket.version;
      this.agent = agentOf(header);
      this.#connectedOnce = true;
      this.dispatch({ type: 'opened' });
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      // An edge that had this agent once may be in the middle of a deploy.
      if (error instanceof LoginRefused && error.final && !this.#connectedOnce) return notice({ type: 'refused', message: error.message });
      notice({
        type: 'link',
        state: 'down',
        detail: error instanceof LoginRefused ? error.message : `cannot reach ${api} (${failureOf(error)})`,
      });
      this.dispatch({ type: 'failed', retryAfterMs: error instanceof LoginRefused ? error.retryAfterMs : null });
    }
  }

  #handlers() {
    return {
      closed: (code: number) => {
        this.#socket = null;
        this.dispatch({ type: 'closed', code });
      },
      text: (text: string) => this.dispatch({ type: 'text', text }),
      message: (bytes: Uint8Array) => this.dispatch({ type: 'message', bytes }),
      writable: (yes: boolean) => this.dispatch({ type: 'writable', yes }),
    };
  }

  /** Work due now waits for the end of this turn of the loop, so that what comes in one read leaves in one message. */
  #plan(): void {
    const at = this.core.wakeAt();
    if (at !== null && at <= Date.now()) {
      this.#soon ??= setImmediate(() => {
        this.#soon = null;
        this.dispatch({ type: 'wake' });
      });
      return;
    }
    if (this.#timer !== null && at !== null && this.#timerAt <= at) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (at === null) return;
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.dispatch({ type: 'wake' });
    }, at - Date.now());
  }
}

function hasher(): Hasher {
  const hash = createHash('sha256');
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') };
}
