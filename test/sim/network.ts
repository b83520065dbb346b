/** Requests between Workers and objects: each takes time, some are lost, some answers are lost, some come twice. */
import type { Clock } from './clock.ts';
import type { Faults } from './faults.ts';
import type { Random } from './random.ts';

/** Whoever asks; an answer to one that died meanwhile is nobody's. */
export interface Host {
  readonly name: string;
  /** Goes up with every death. */
  life: number;
}

/** Requests that an object answers without harm however often they come. */
const REPEATABLE = new Set([
  'settle',
  'extend',
  'close',
  'report',
  'load',
  'gone',
  'freed',
  'inquire',
  'watch',
  'unwatch',
  'reserve',
  'release',
  'leave',
  'stop',
]);

export class Network {
  /** Unix milliseconds until when everything takes long. */
  spikeUntil = 0;
  /** Unix milliseconds until when the edge is down. */
  downUntil = 0;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly faults: Faults;

  constructor(clock: Clock, random: Random, faults: Faults) {
    this.clock = clock;
    this.random = random;
    this.faults = faults;
  }

  get down(): boolean {
    return this.clock.now < this.downUntil;
  }

  /** Milliseconds on the way. */
  delay(): number {
    const { random, clock } = this;
    if (clock.now < this.spikeUntil) return random.int(50, 1_500);
    return random.int(0, 4);
  }

  /**
   * Asks an object. `serve` runs there once the request has arrived, and answers when it can. `lost`: nobody knows whether
   * it was served.
   */
  ask<T>(
    from: Host,
    to: ObjectHost,
    what: string,
    serve: (answer: (value: T) => void) => void,
    done: (value: T) => void,
    lost: () => void,
  ): void {
    const { clock, faults, random } = this;
    const life = from.life;
    let over = false;
    const back = (value: { is: T } | null): void => {
      if (over || from.life !== life) return;
      over = true;
      if (value === null) lost();
      else done(value.is);
    };
    if (this.down || faults.take('rpc_request_lost', what)) {
      clock.after(this.delay(), () => back(null));
      return;
    }
    const replyLost = faults.take('rpc_reply_lost', what);
    const arrive = (answerTo: (value: { is: T } | null) => void): void => {
      if (this.down) return clock.after(this.delay(), () => answerTo(null));
      to.serve(
        (answer) => serve(answer as (value: T) => void),
        (value) => clock.after(this.delay(), () => answerTo(value === null || replyLost ? null : { is: value.is as T })),
      );
    };
    const slow = faults.take('rpc_slow', what) ? random.int(100, 3_000) : 0;
    clock.after(this.delay() + slow, () => arrive(back));
    if (REPEATABLE.has(what) && faults.take('rpc_twice', what)) clock.after(this.delay() + random.int(1, 2_000), () => arrive(() => {}));
  }
}

/** A Durable Object: built again from what it keeps, whenever it is asked after it died. */
export abstract class ObjectHost implements Host {
  abstract readonly name: string;
  life = 0;
  /** What it serves; gone with it. */
  private readonly serving = new Set<(value: { is: unknown } | null) => void>();
  private alarmAt: number | null = null;
  private alarms = 0;
  protected readonly clock: Clock;
  private readonly random: Random;
  private readonly faults: Faults;

  constructor(clock: Clock, random: Random, faults: Faults) {
    this.clock = clock;
    this.random = random;
    this.faults = faults;
  }

  /** Builds the core from its rows, if it is not there. */
  abstract boot(): void;
  protected abstract onAlarm(): void;
  /** Memory is gone; rows and the alarm stay. */
  protected abstract forget(): void;

  serve(work: (answer: (value: unknown) => void) => void, settle: (value: { is: unknown } | null) => void): void {
    this.boot();
    this.serving.add(settle);
    work((value) => {
      if (this.serving.delete(settle)) settle({ is: value });
    });
  }

  get idle(): boolean {
    return this.serving.size === 0;
  }

  crash(): void {
    this.life++;
    const serving = [...this.serving];
    this.serving.clear();
    this.forget();
    for (const settle of serving) settle(null);
  }

  protected setAlarm(at: number | null): void {
    this.alarmAt = at;
    const number = ++this.alarms;
    if (at === null) return;
    const late = this.faults.take('alarm_late', this.name) ? this.random.int(100, 5_000) : 0;
    this.clock.at(at + late, () => {
      if (this.alarms !== number) return;
      this.alarmAt = null;
      this.ring();
      if (this.faults.take('alarm_twice', this.name)) this.clock.after(this.random.int(0, 500), () => this.ring());
    });
  }

  protected getAlarm(): number | null {
    return this.alarmAt;
  }

  private ring(): void {
    this.boot();
    this.onAlarm();
  }
}
