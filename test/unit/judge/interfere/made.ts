/** An edge, a clock and an instance for trials: time goes on with every token that is read. */
import type { Observation, StoredObservation } from '#protocol/audit.ts';
import {
  challengeId,
  isFlash,
  drawingRound,
  MAINNET,
  publishedAt,
  seedingRound,
  type Transcript,
  type Verdict,
} from '#protocol/challenge/index.ts';
import type { TargetItem } from '#protocol/judging.ts';
import { makeBench, type Bench } from '../../../../validator-cron/bench.ts';
import { readConfig } from '../../../../validator-cron/config.ts';
import { draw, TRIAL_EVERY } from '../../../../validator-cron/interfere/draw.ts';
import type { Clock } from '../../../../validator-cron/interfere/load.ts';
import { ALICE, anAgent, anInstance } from '../made.ts';
import { BEACON } from '../stand-in-beacon.ts';

const DEVICE = 'agt_1/gpu0';
const EVENTS = 40;
const config = readConfig({ API_ORIGIN: 'http://edge.test', JUDGE_SEED: '11'.repeat(32), API_KEY: 'rk_test' });

export class World implements Clock {
  /** Unix seconds. In the first one the instance is drawn. */
  slot = 1_800_782_400;
  /** Of the pulses that the schedule goes by, where another than the beacon's. */
  randomness: string | null = null;
  time: number;
  /** Milliseconds from one token of the instance to the next, before the work and during it; null: it does not answer. */
  pace: { before: number; during: number } | null = { before: 5, during: 10 };
  /** Rate under load; null: no work was done. */
  loaded: number | null = 60;
  idle = [100, 98, 103, 100];
  /** What the edge says of the work that is asked for. */
  state = 'started';
  calls = 0;
  /** Cuts of answers that were still coming. */
  cut = 0;
  readonly kept = new Map<string, StoredObservation>();
  private running = 0;
  private waiting: { at: number; go: () => void }[] = [];

  constructor() {
    this.time = this.slot * 1_000 + 1_000;
  }

  now = (): number => this.time;

  until = async (at: number): Promise<void> => {
    if (this.running === 0) this.time = Math.max(this.time, at);
    else await new Promise<void>((go) => this.waiting.push({ at, go }));
  };

  get moment() {
    return { round: this.slot, epoch: this.slot - (this.slot % 3_600) };
  }

  /** Of the slot. */
  async beacon(): Promise<string> {
    return (await BEACON.pulse(drawingRound(BEACON.chain, this.slot))).randomness;
  }

  /** To the next slot in which the instance is drawn as one that was seen apart, and nothing of the schedule is due. */
  async toNext(): Promise<void> {
    const facts = { secret: config.hotkey.secretFor('interfere'), every: TRIAL_EVERY.mainnet, suspects: new Set(['ins_1']) };
    let beacon: string;
    do {
      this.slot += 60;
      beacon = await this.beacon();
    } while (isFlash(MAINNET, beacon) || draw(this.agents, { ...facts, beacon }) === null);
    this.time = this.slot * 1_000 + 1_000;
  }

  agents = [anAgent('agt_1', ALICE, [anInstance()])];
  targets: TargetItem[] = [
    { target: DEVICE, what: 'device', since: 0, hotkey: ALICE, agent: 'agt_1', device: 'gpu0', instance: null, kinds: ['pow.mm'] },
  ];

  bench(): Bench {
    const made = makeBench(config, null, new AbortController().signal);
    const { edge, feed } = made;
    return {
      ...made,
      beacon: {
        ...BEACON,
        pulse: async (round) => ({ ...(await BEACON.pulse(round)), randomness: this.randomness ?? (await this.beacon()) }),
      },
      edge: {
        ...edge,
        call: async (_path, { signal }) => this.answer(signal),
        postObservations: async (items: Observation[]) => {
          for (const o of items) if (!this.kept.has(o.id)) this.kept.set(o.id, { ...o, judge: config.hotkey.ss58 });
        },
        observations: async (epoch) => [...this.kept.values()].filter((o) => o.epoch === epoch),
      },
      feed: {
        ...feed,
        targets: async () => this.targets,
        ask: async (_slot, asks) => asks.map(() => this.state),
        verdicts: async ({ to }) => this.verdicts(to - 1),
        transcript: async (id) => this.transcript(id),
      },
    };
  }

  private get sentAt(): number {
    return publishedAt(BEACON.chain, seedingRound(BEACON.chain, this.slot, MAINNET)) + 200;
  }

  private get committedAt(): number {
    return this.sentAt + 6_000;
  }

  /** Until this slot: before the load those of flashes, in it the one under load. */
  private verdicts(slot: number): Verdict[] {
    const of = (id: string, rate: number): Verdict => {
      return { id, kind: 'pow.mm', target: DEVICE, hotkey: ALICE, reason: 'proven', elapsed_ms: 4_000, rate, class: 'h100', wrong: null };
    };
    if (slot < this.slot) return this.idle.map((rate, at) => of(`chl_${at}`, rate));
    return this.loaded === null ? [] : [of(challengeId('pow.mm', DEVICE, this.slot), this.loaded)];
  }

  private transcript(id: string): Transcript {
    const commit = { root: '', seen: 0, helper: 'triton', signature: '', at: this.committedAt };
    return { id, sent_at: this.sentAt, commit } as Transcript;
  }

  private answer(signal: AbortSignal): Response {
    this.calls += 1;
    if (this.pace === null) return new Response('{}', { status: 500 });
    this.running += 1;
    let events = 0;
    const { pace } = this;
    const pull = (to: ReadableStreamDefaultController<Uint8Array>): void => {
      if (signal.aborted) this.cut += 1;
      if (signal.aborted || events === EVENTS) {
        this.running -= 1;
        return to.close();
      }
      events += 1;
      to.enqueue(new TextEncoder().encode('data: {"choices":[]}\n\n'));
      const works = this.time >= this.sentAt && this.time < this.committedAt;
      this.pass(works ? pace.during : pace.before);
    };
    return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
  }

  private pass(ms: number): void {
    this.time += ms;
    const due = this.waiting.filter(({ at }) => at <= this.time);
    this.waiting = this.waiting.filter(({ at }) => at > this.time);
    for (const { go } of due) go();
  }
}
