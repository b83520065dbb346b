/** One WebSocket between an agent and its Miner object: in order within each direction, cut or half open when told. */
import { KEEPALIVE } from '#protocol';
import type { Clock } from './clock.ts';
import type { Network } from './network.ts';

export type Message = string | Uint8Array;

export interface End {
  message(wire: Wire, message: Message): void;
  closed(wire: Wire, code: number): void;
}

type Side = 'agent' | 'miner';

export class Wire {
  /** What the platform keeps with the socket while its object is not in memory. */
  attachment: { epoch: number; greeted: boolean } | null = null;
  /** Unix milliseconds of the last keepalive that the platform answered. */
  pingedAt: number;
  /** Everything is swallowed, nobody is told. */
  halfOpen = false;
  private readonly clock: Clock;
  private readonly network: Network;
  private readonly ends: Record<Side, End>;
  private readonly gone: Record<Side, boolean> = { agent: false, miner: false };
  private readonly clear: Record<Side, number> = { agent: 0, miner: 0 };

  constructor(clock: Clock, network: Network, agent: End, miner: End) {
    this.clock = clock;
    this.network = network;
    this.ends = { agent, miner };
    this.pingedAt = clock.now;
  }

  get open(): boolean {
    return !this.gone.agent && !this.gone.miner;
  }

  /** To the other side, after what was sent before. */
  send(from: Side, message: Message): void {
    if (this.gone[from] || this.halfOpen) return;
    const to = other(from);
    this.deliver(to, () => {
      if (to === 'miner' && message === KEEPALIVE.ping) {
        this.pingedAt = this.clock.now;
        this.deliver('agent', () => this.ends.agent.message(this, KEEPALIVE.pong));
      } else this.ends[to].message(this, message);
    });
  }

  /** One side closes; it hears nothing more. */
  close(from: Side, code: number): void {
    if (this.gone[from]) return;
    this.gone[from] = true;
    const to = other(from);
    this.deliver(to, () => {
      this.gone[to] = true;
      this.ends[to].closed(this, code);
    });
  }

  /** What is on its way is lost, and each side that is still there learns it in its own time. */
  cut(agentMs: number, minerMs: number | null): void {
    const told = { agent: this.gone.agent, miner: this.gone.miner };
    this.gone.agent = this.gone.miner = true;
    if (!told.agent) this.clock.after(agentMs, () => this.ends.agent.closed(this, 1006));
    if (!told.miner && minerMs !== null) this.clock.after(minerMs, () => this.ends.miner.closed(this, 1006));
  }

  private deliver(to: Side, what: () => void): void {
    const at = Math.max(this.clear[to], this.clock.now + this.network.delay());
    this.clear[to] = at;
    this.clock.at(at, () => {
      if (!this.gone[to] && !this.halfOpen) what();
    });
  }
}

function other(side: Side): Side {
  return side === 'agent' ? 'miner' : 'agent';
}
