/** Strikes: picks what goes wrong next until enough has. Each seed draws from a subset, so that rare pairs meet. */
import { ARMED, OF_MONEY, STRIKES, type Armed, type Fault, type Strike } from './faults.ts';
import type { Sim } from './sim.ts';

/** Always there, so that a run has its ten faults. */
const STAPLES: Strike[] = ['socket_cut', 'miner_crash', 'delay_spike', 'chute_crash', 'account_crash'];
/** Requests that an armed fault may wait for. */
const REQUESTS = 'open close relay attach enqueue wait report freed reserve watch claim inquire stop settle settle settle settle'.split(
  ' ',
);
const STATEMENTS = ['draw', 'draw', 'flush', 'flush', 'mirror'];
const RPC: readonly Armed[] = ['rpc_request_lost', 'rpc_reply_lost', 'rpc_twice', 'rpc_slow'];

export class Director {
  done = false;
  private readonly sim: Sim;
  private readonly armed: Armed[];
  private readonly strikes: Strike[];
  private readonly wanted: number;

  constructor(sim: Sim) {
    this.sim = sim;
    const { random } = sim;
    const some = (kind: Fault, chance: number): boolean => (!OF_MONEY.includes(kind) || !sim.rich) && random.chance(chance);
    this.armed = ARMED.filter((kind) => some(kind, 0.5));
    this.strikes = [
      ...STAPLES.filter(() => random.chance(0.5)),
      random.pick(STAPLES),
      ...STRIKES.filter((kind) => some(kind, OF_MONEY.includes(kind) ? 0.6 : 0.4)),
    ];
    this.wanted = random.int(10, 20);
  }

  start(): void {
    this.sim.clock.after(this.sim.random.int(100, 2_500), () => this.next());
  }

  private next(): void {
    const { sim } = this;
    if (sim.faults.total >= this.wanted) {
      this.done = true;
      return;
    }
    const { random } = sim;
    if (this.armed.length > 0 && random.chance(0.5)) {
      const kind = random.pick(this.armed);
      sim.faults.arm(kind, random, this.target(kind));
    } else {
      const kind = random.pick(this.strikes);
      const detail = this.strike(kind);
      if (detail !== null) sim.faults.count(kind, detail);
    }
    sim.clock.after(random.chance(0.15) ? random.int(0, 20) : random.int(50, 1_500), () => this.next());
  }

  private target(kind: Armed): string | null {
    const { random } = this.sim;
    if (kind.startsWith('sql_')) return random.chance(0.3) ? null : random.pick(STATEMENTS);
    if (!RPC.includes(kind) || random.chance(0.4)) return null;
    // What is sent until it is acknowledged is what comes twice.
    return kind === 'rpc_twice' && random.chance(0.7) ? 'settle' : random.pick(REQUESTS);
  }

  /** Does it; null: it does not fit now. */
  private strike(kind: Strike): string | null {
    const { sim } = this;
    const { random } = sim;
    const agent = random.pick(sim.agents);
    const miner = sim.miner(agent.agent);
    switch (kind) {
      case 'delay_spike':
        sim.network.spikeUntil = sim.now + random.int(100, 3_000);
        return '';
      case 'socket_cut':
        if (agent.socket?.open !== true) return null;
        agent.socket.cut(random.int(0, 100), random.int(0, 400));
        return agent.agent;
      case 'half_open':
        if (agent.socket?.open !== true || agent.socket.halfOpen) return null;
        this.halfOpen(agent.socket);
        return agent.agent;
      case 'agent_crash':
        if (agent.lost) return null;
        agent.crash(random.int(100, 6_000));
        return agent.agent;
      case 'agent_lost':
        if (sim.agents.some((a) => a.lost)) return null;
        agent.crash(null);
        return agent.agent;
      case 'agent_drain':
        if (agent.live().length === 0) return null;
        for (const id of agent.live()) agent.stopInstance(id, random.int(0, 3_000));
        return agent.agent;
      case 'agent_busy':
        return agent.refuseFor(0, random.int(100, 2_000)) ? agent.agent : null;
      case 'agent_stale':
        return agent.refuseFor(null, random.int(100, 2_000)) ? agent.agent : null;
      case 'instance_failed': {
        const [id] = agent.live();
        if (id === undefined) return null;
        agent.end(id, 'failed');
        return id;
      }
      case 'instance_stopped': {
        const [id] = agent.live();
        if (id === undefined) return null;
        miner.boot();
        miner.stop(id, 'scaled_down', random.int(0, 2_000));
        return id;
      }
      case 'miner_crash':
        if (miner.core === null) return null;
        miner.crash();
        return miner.agent;
      case 'miner_evicted':
        if (!miner.sleepy) return null;
        miner.evict();
        return miner.agent;
      case 'account_crash': {
        const account = random.pick([...sim.accounts.values()]);
        account.crash();
        return account.account;
      }
      case 'chute_crash':
        sim.chute.crash();
        return '';
      case 'isolate_death': {
        const worker = random.pick(sim.workers);
        worker.die(false);
        return worker.name;
      }
      case 'edge_death':
        this.killEdge(random.int(50, 3_000));
        return '';
      case 'postgres_down':
        sim.postgres.downUntil = sim.now + (random.chance(0.2) ? random.int(20_000, 180_000) : random.int(100, 20_000));
        return '';
      case 'credit_added': {
        const account = random.pick([...sim.accounts.keys()]);
        const amount = random.chance(0.5) ? { cash: sim.little(), promo: 0n } : { cash: 0n, promo: sim.little() };
        sim.postgres.credit(account, amount);
        return `${account} ${amount.cash} ${amount.promo}`;
      }
      case 'cap_changed': {
        const account = random.pick([...sim.accounts.values()]);
        const cap = sim.randomCap();
        account.changeCap(`key_${account.account}_1`, cap);
        return `${account.account} ${cap?.limit} ${cap?.period}`;
      }
      case 'lease_fenced': {
        const lease = sim.postgres.bank.newest(random.pick([...sim.accounts.keys()]));
        if (lease === null || lease.state === 'closed') return null;
        sim.postgres.fence(lease.account, lease.epoch);
        return `${lease.account} ${lease.epoch}`;
      }
      case 'price_changed':
        return sim.price(sim.now + (random.chance(0.2) ? 60_000 : random.int(0, 3_000)));
      case 'deploy':
        sim.deploy();
        return '';
    }
  }

  private halfOpen(wire: { halfOpen: boolean; cut(agentMs: number, minerMs: number | null): void; open: boolean }): void {
    const { sim } = this;
    wire.halfOpen = true;
    // Most end soon on one side or both; the rest is left to whoever notices the silence.
    if (sim.random.chance(0.7))
      sim.clock.after(sim.random.int(200, 5_000), () => wire.open && wire.cut(0, sim.random.chance(0.5) ? 0 : null));
  }

  /** The whole workerd: every object, every isolate, every socket. */
  private killEdge(ms: number): void {
    const { sim } = this;
    sim.network.downUntil = sim.now + ms;
    for (const worker of sim.workers) worker.die(true);
    for (const miner of sim.miners.values()) miner.crash();
    for (const account of sim.accounts.values()) account.crash();
    sim.chute.crash();
  }
}
