/**
 * What must be true at every step, and in the end. It knows what engines were told to say and what clients got, and
 * judges what lies between by that alone.
 */
import { LIMITS, type OpenCall } from '#protocol';
import type { UsageRecord } from '../../db/usage.ts';
import type { Settlement } from '../../functions/calls/ports.ts';
import type { AttemptRow } from '../../functions/miner/rows.ts';
import type { Terms } from '../../functions/prices/terms.ts';
import type { AccountNode } from './nodes/account.ts';
import type { AgentNode } from './nodes/agent.ts';
import type { ChuteNode } from './nodes/chute.ts';
import type { ClientCall } from './nodes/client.ts';
import type { MinerNode } from './nodes/miner.ts';
import { boundedBy, plainScript, spoil, type Mark, type Script, type Told } from './script.ts';
import type { Sim } from './sim.ts';
import { priced } from './tariff.ts';

interface Tried {
  key: string;
  agents: Set<string>;
  script: Script | null;
  /** Bytes that Miner objects handed on: the furthest any of them got. */
  base: number;
  pushed: number;
  handed: number;
  /** Its Miner object said that no other follows. */
  final: boolean;
  /** Unix milliseconds of its dispatch, of the last bytes handed on, and of its settlement. */
  startedAt: number;
  handedAt: number;
  settledAt: number;
}

/** Milliseconds without any fault after which a free slot must find a waiting call within the second. */
const CALM_MS = 6_000;
const STARVE_MS = 2_500;
/** Settlements that one Miner object may owe in a run. */
const OWED = 64;

export class Oracle {
  readonly calls = new Map<string, ClientCall>();
  readonly attempts = new Map<string, Tried>();
  private readonly nevers = new Set<string>();
  private readonly starving = new Map<string, number>();
  private ghostAt = 0;
  private readonly sim: Sim;
  private readonly template: 'openai' | 'http';

  constructor(sim: Sim, template: 'openai' | 'http') {
    this.sim = sim;
    this.template = template;
  }

  private tried(key: string): Tried {
    let tried = this.attempts.get(key);
    if (tried === undefined) {
      tried = {
        key,
        agents: new Set(),
        script: null,
        base: 0,
        pushed: 0,
        handed: 0,
        final: false,
        startedAt: 0,
        handedAt: 0,
        settledAt: 0,
      };
      this.attempts.set(key, tried);
    }
    return tried;
  }

  private of(call: string): Tried[] {
    return [...this.attempts.values()].filter((t) => t.key.startsWith(call));
  }

  // ── dispatch ──

  dispatched(agent: string, row: AttemptRow): void {
    const tried = this.tried(row.key);
    tried.agents.add(agent);
    tried.startedAt = this.sim.now;
    if (this.nevers.has(`${agent} ${row.ask.call}`)) this.sim.fail('nothing is dispatched after never', `${row.key} on ${agent}`);
  }

  settled({ call, attempt, final }: Settlement): void {
    const tried = this.tried(`${call}/${attempt}`);
    tried.settledAt = this.sim.now;
    tried.final = final;
  }

  never(agent: string, call: string): void {
    this.nevers.add(`${agent} ${call}`);
  }

  engineCalled(open: OpenCall): Script {
    const tried = this.tried(open.attempt);
    const call = this.calls.get(open.attempt.slice(0, 36));
    if (call === undefined) throw new Error('an engine got a call that nobody made');
    if (tried.script !== null) this.sim.fail('an attempt runs once', `${open.attempt} came to an engine again`);
    const { random, faults } = this.sim;
    const wishes = {
      attempt: open.attempt,
      call: call.id,
      template: this.template,
      stream: call.shaped.stream,
      usage: call.shaped.tokens?.usage === true,
      requestBytes: Math.min(call.bodyBytes, call.sentBytes),
      startedAt: tried.startedAt,
      cost: (told: Told) => this.costTold(call, told),
    };
    let script = plainScript(random, wishes);
    for (const how of ['unreachable', 'broken', 'malformed', 'slow', 'status'] as const) {
      if (faults.take(`engine_${how}`, open.attempt)) script = spoil(random, script, wishes, how);
    }
    tried.script = script;
    const ran = this.of(call.id).filter((t) => t.script !== null).length;
    if (!call.safe && ran > 1) this.sim.fail('what is not safe to repeat runs once', `${call.id} came to ${ran} engines`);
    return script;
  }

  /** What a stream tells of its cost: nothing where time costs something, since it is not over. */
  private costTold(call: ClientCall, told: Told): string | null {
    const { terms, hold, allowance } = this.sim.books.opened(call.id);
    if (terms.price.per_second > 0 || call.bodyBytes === 0) return null;
    const cost = priced(terms, { ...told, ms: 0, ...call.units });
    return (allowance === null && cost > hold ? hold : cost).toString();
  }

  engineGot(attempt: string, bytes: number): void {
    const call = this.calls.get(attempt.slice(0, 36));
    if (call !== undefined && bytes !== call.sentBytes)
      this.sim.fail('a request arrives whole', `${attempt}: ${bytes} of ${call.sentBytes} bytes`);
  }

  attached(key: string, offset: number): void {
    const tried = this.tried(key);
    tried.base = offset;
    tried.pushed = 0;
  }

  /** `refused`: its Miner object knows that there is no more credit. */
  handedOn(key: string, bytes: number, refused: boolean): void {
    const tried = this.tried(key);
    const before = tried.base + tried.pushed;
    tried.pushed += bytes;
    tried.handed = Math.max(tried.handed, before + bytes);
    tried.handedAt = this.sim.now;
    if (refused && tried.script !== null) this.checkCredit(key, tried.script.marks, before, before + bytes);
  }

  private checkCredit(key: string, marks: readonly Mark[], before: number, after: number): void {
    const { allowance } = this.sim.books.opened(key.slice(0, 36));
    const at = (offset: number): Mark | undefined => marks.findLast(({ bytes }) => bytes <= offset);
    const [start, end] = [at(before), at(after)];
    if (allowance === null || start === undefined || end === undefined || end.bytes !== after) return;
    if (start.tokensOut >= allowance && end.text > start.text)
      this.sim.fail('nothing is given once the credit has ended', `${key} after ${start.tokensOut} tokens of ${allowance}`);
  }

  // ── what the client sees ──

  received(call: ClientCall): void {
    if (call.text.length < 20_000) this.checkText(call);
  }

  ended(call: ClientCall): void {
    if (call.ending === 'refused' && call.text !== '') this.sim.fail('a refusal is the whole answer', call.id);
    if (call.ending === 'refused' && call.code === 'internal')
      this.sim.fail('nothing fails without a name', `${call.id} ended as internal`);
    this.checkText(call);
  }

  /** The error event that the stream ends with, and the text before it. */
  errorEvent(call: ClientCall): string | null {
    const at = call.text.lastIndexOf('data: {"error":');
    if (at === -1 || !call.text.endsWith('\n\n')) return null;
    return call.text.slice(at).includes(`"request_id":"${call.id}"`) ? call.text.slice(0, at) : null;
  }

  private checkText(call: ClientCall): void {
    const before = this.errorEvent(call);
    const text = before ?? call.text;
    if (before !== null && text !== '' && !text.endsWith('\n\n')) this.sim.fail('clients see whole events', call.id);
    const complete = call.ending === 'complete';
    const queued = call.headers[0]?.[1] === 'text/event-stream; charset=utf-8';
    if (text === '' && !complete) return;
    for (const tried of this.of(call.id)) {
      const { script } = tried;
      if (script === null) continue;
      const visible = script.events || !queued ? script.visible : `data: ${script.visible}\n\ndata: [DONE]\n\n`;
      if (endsForCredit(script, text, this.sim.books.opened(call.id).allowances)) return;
      if (!visible.startsWith(text)) continue;
      if (!complete) return;
      if (visible.length === text.length && script.end === 'end' && !script.malformed) {
        if (!queued && call.status !== script.status) this.sim.fail('a status is the engine’s', `${call.id}: ${call.status}`);
        return;
      }
    }
    const what = complete ? 'a complete reply is one attempt’s whole reply' : 'a client sees one attempt, without gap or repeat';
    this.sim.fail(what, `${call.id} (${call.ending ?? 'running'}) has ${JSON.stringify(text.slice(-300))}`);
  }

  // ── bounds, at every step ──

  minerStepped(miner: MinerNode): void {
    if (miner.pendingSettlements > OWED) this.sim.fail('queues are bounded', `${miner.name} owes ${miner.pendingSettlements} settlements`);
    if (miner.core === null || !miner.exact) return;
    for (const i of miner.core.listInstances())
      if (i.busy > i.slots) this.sim.fail('an instance runs no more calls than it has slots', `${i.instance} on ${miner.agent}`);
  }

  agentStepped(agent: AgentNode): void {
    const { calls } = agent.core;
    const most = Math.max(1, calls.size) * (LIMITS.retainBytes + LIMITS.dataBytes);
    if (calls.retained < 0 || calls.retained > most) this.sim.fail('queues are bounded', `${agent.name} holds ${calls.retained} bytes`);
    for (const [id, instance] of agent.instances)
      if (calls.slots.runningOn(id) > instance.slots)
        this.sim.fail('an instance runs no more calls than it has slots', `${id} at ${agent.agent}`);
  }

  chuteStepped(chute: ChuteNode): void {
    if (chute.waiting.size > 64) this.sim.fail('queues are bounded', `${chute.waiting.size} calls wait`);
  }

  accountStepped(account: AccountNode): void {
    this.sim.books.stepped(account);
  }

  /** A slot of a live instance is free and a call waits that could use it: how long already? */
  sample(): void {
    const { sim } = this;
    const { waiting } = sim.chute;
    if (waiting.size === 0) return this.starving.clear();
    const known = new Set(
      sim.chute.core
        .snapshot(sim.now)
        ?.instances.filter((i) => i.state === 'live')
        .map((i) => i.instance),
    );
    const idle = new Set<string>();
    for (const agent of sim.agents) {
      const core = sim.miner(agent.agent).core;
      if (!agent.connected || core?.connected !== true) continue;
      const live = new Set(agent.live());
      for (const i of core.listInstances())
        if (i.state === 'live' && live.has(i.instance) && known.has(i.instance) && i.busy < i.slots) idle.add(i.instance);
    }
    for (const call of this.starving.keys()) if (!waiting.has(call)) this.starving.delete(call);
    for (const [call, tried] of waiting) {
      if (this.calls.get(call)?.over !== false) continue;
      if (![...idle].some((instance) => !tried.includes(instance))) this.starving.delete(call);
      else if (!this.starving.has(call)) this.starving.set(call, sim.now);
      const since = Math.max(this.starving.get(call) ?? sim.now, Math.max(sim.faults.lastAt, this.ghostAt) + CALM_MS);
      if (sim.now - since > STARVE_MS) sim.fail('no call waits beside a free slot', `${call} for ${sim.now - since} ms`);
    }
  }

  /** A slot is kept for this call. Nobody can know that its Worker died; then it is kept in vain for a while. */
  slotNamed(call: string): void {
    if (this.calls.get(call)?.over !== false) this.ghostAt = this.sim.now;
  }

  // ── in the end ──

  /** What is not at rest yet, or null. */
  unrest(): string | null {
    const { sim } = this;
    for (const call of this.calls.values()) if (!call.over || call.ending === null) return `call ${call.id} has not ended`;
    if ((sim.chute.core.describe(sim.now)?.waiting ?? 0) > 0) return 'calls wait that nobody makes';
    for (const miner of sim.miners.values()) {
      if ((miner.core?.running().length ?? 0) > 0) return `${miner.name} runs attempts`;
      if (miner.pendingSettlements > 0) return `${miner.name} owes ${miner.pendingSettlements} settlements`;
    }
    const unsettled = sim.books.unrest();
    if (unsettled !== null) return unsettled;
    const snapshot = sim.chute.core.snapshot(sim.now);
    for (const { agent, name, lost } of sim.agents) {
      // Nobody may have looked since: an object that is down or has a silent socket learns it with the next call; one that
      // knew of an end and went down before it could tell is not asked again.
      const { core } = sim.miner(agent);
      const known = new Set(core?.connected === false ? core.listInstances().map(({ instance }) => instance) : []);
      if (lost && snapshot?.instances.some((i) => i.agent === agent && known.has(i.instance)) === true)
        return `the chute counts on ${name}, which is gone`;
    }
    for (const agent of sim.agents) if (!agent.lost && agent.core.calls.size > 0) return `${agent.name} keeps streams`;
    return null;
  }

  finish(): void {
    this.checkUsage();
    for (const call of this.calls.values()) if (call.ending === 'complete') this.checkPaid(call);
    this.checkSlots();
  }

  /** Every attempt that ran is known to its Account, and in Postgres unless the Account refused it. */
  private checkUsage(): void {
    const { sim } = this;
    for (const tried of this.attempts.values()) {
      if (tried.script === null) continue;
      if (sim.postgres.usage.has(tried.key)) continue;
      const [call = '', attempt] = tried.key.split('/');
      const story = [...sim.accounts.values()].map((a) => a.core.call(call)).find((row) => row !== null);
      const taken = story?.attempts.find((a) => a.settlement.attempt === Number(attempt));
      if (taken === undefined) sim.fail('every attempt that ran is counted', tried.key);
      else sim.trace.add(sim.now, 'settlement.refused', tried.key);
    }
    for (const [key, row] of sim.postgres.usage) {
      const tried = this.attempts.get(key);
      if (tried === undefined) {
        sim.fail('usage is of attempts that were dispatched', key);
        continue;
      }
      if (row.bytes > tried.handed) sim.fail('nobody pays for bytes not handed on', `${key}: ${row.bytes} of ${tried.handed}`);
      const whole = tried.script?.marks.at(-1)?.bytes ?? tried.script?.visible.length ?? -1;
      if (row.outcome === 'completed' && row.bytes !== whole)
        sim.fail('a completed attempt is counted whole', `${key}: ${row.bytes} of ${whole}`);
    }
  }

  /** Whatever the outcome is called: a client slower than its deadline may get the whole reply of a cancelled attempt. */
  private checkPaid(call: ClientCall): void {
    const { usage } = this.sim.postgres;
    const tried = this.of(call.id).filter((t) => t.script !== null);
    const whole = ({ key, script }: Tried): boolean => {
      const row = usage.get(key);
      return row?.code === 'insufficient_credit' || row?.bytes === (script?.marks.at(-1)?.bytes ?? script?.visible.length);
    };
    const { account } = call.shaped.claim;
    const unpaid = this.sim.books.isFenced(account, this.sim.books.opened(call.id));
    if (tried.some(whole) || unpaid) return;
    // Bytes that were handed on and lost with their object made an attempt final; the next one is given.
    if (tried.filter(({ final }) => final).length > 1) this.sim.trace.add(this.sim.now, 'reply.given', call.id);
    else this.sim.fail('a complete reply is counted whole', call.id);
  }

  /** Nano-USD that an attempt came to, by its script and what of it reached the client: what failed costs nothing. */
  billOf(row: UsageRecord, terms: Terms): bigint {
    const { sim } = this;
    const key = `${row.callId}/${row.attempt}`;
    const tried = this.attempts.get(key);
    const call = this.calls.get(row.callId);
    const script = tried?.script ?? null;
    if (tried === undefined || call === undefined || script === null || (row.outcome !== 'completed' && row.bytes === 0)) return 0n;
    if (row.status !== script.status) sim.fail('a status is the engine’s', `${key}: ${row.status}`);
    if (script.status >= 400) return 0n;
    const ms = row.lastByteMs ?? 0;
    if (
      ms < 0 ||
      ms > tried.settledAt - tried.startedAt ||
      (row.outcome === 'completed' && ms < Math.min(tried.handedAt, tried.settledAt) - tried.startedAt)
    )
      sim.fail('time counts from dispatch to the last byte', `${key}: ${ms} ms`);
    return priced(terms, { ...this.toldIn(row, script), ms, ...call.units });
  }

  private toldIn(row: UsageRecord, { marks, events }: Script): Told {
    const { sim } = this;
    const key = `${row.callId}/${row.attempt}`;
    if (row.code === 'insufficient_credit') return this.toldAtEnd(key, row, marks);
    const last = marks.findLast(({ bytes }) => bytes <= row.bytes);
    // What the client does not see may have come before the cut or after it.
    const same = row.outcome === 'completed' ? [] : marks.filter(({ bytes }) => bytes === row.bytes);
    const mark = same.find((m) => m.tokensIn === (row.tokensIn ?? 0) && m.tokensOut === (row.tokensOut ?? 0)) ?? last;
    if (mark === undefined || (events && mark.bytes !== row.bytes))
      sim.fail('what is charged for ends where an event does', `${key}: ${row.bytes} bytes`);
    return mark ?? NOTHING_TOLD;
  }

  /** Of a reply that ended where its credit did: there was more than was paid for, and no more than that is charged. */
  private toldAtEnd(key: string, row: UsageRecord, marks: readonly Mark[]): Told {
    const { sim } = this;
    sim.trace.add(sim.now, 'credit.ended', key);
    for (const paid of sim.books.opened(row.callId).allowances)
      for (const mark of marks)
        if (mark.tokensOut >= paid && mark.bytes + mark.end(paid).length === row.bytes) return boundedBy(mark, paid);
    sim.fail('a reply ends when its credit does', key);
    return NOTHING_TOLD;
  }

  private checkSlots(): void {
    for (const agent of this.sim.agents) {
      const { core } = this.sim.miner(agent.agent);
      if (!agent.connected || core?.connected !== true) continue;
      const live = agent.live();
      const slots = new Map(core.listInstances().map((i) => [i.instance, i.slots]));
      for (const { instance, free } of core.watch(this.sim.chute.core.chute ?? '', live))
        if (free !== slots.get(instance))
          this.sim.fail('no slot leaks', `${instance} has ${free} of ${slots.get(instance)} free in the end`);
      for (const id of live) if (agent.core.calls.slots.runningOn(id) !== 0) this.sim.fail('no slot leaks', `${id} at ${agent.name}`);
    }
  }
}

const NOTHING_TOLD: Told = { tokensIn: 0, cachedIn: 0, tokensOut: 0 };

/** Whether this is a reply, or the start of one, that ended where its credit did. */
function endsForCredit({ events, marks, visible }: Script, text: string, allowances: ReadonlySet<number>): boolean {
  if (!events || !text.includes('"finish_reason":"insufficient_credit"')) return false;
  const starts = marks.filter(({ chars }) => text.startsWith(visible.slice(0, chars)));
  return [...allowances].some((paid) => starts.some(({ chars, end }) => end(paid).startsWith(text.slice(chars))));
}
