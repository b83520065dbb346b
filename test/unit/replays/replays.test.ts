/** Keyed calls and requests with a clock, a disk and a conductor of the test's own. */
import { describe, expect, test } from 'vitest';
import type { Answered, ReplayCall } from '../../../functions/account/replays/ask.ts';
import { headBytes, splitHead, type Head } from '../../../functions/account/replays/head.ts';
import { REPLAY_LIMITS } from '../../../functions/account/replays/limits.ts';
import { Replays, type Host } from '../../../functions/account/replays/replays.ts';
import type { ReplayRow } from '../../../functions/account/replays/table.ts';
import type { Call } from '../../../functions/calls/call.ts';
import type { ByteSink, ByteSource } from '../../../functions/calls/ports.ts';
import type { Reply } from '../../../functions/calls/pump.ts';
import { RipcordError, type ErrorCode } from '../../../functions/errors.ts';

const DAY = 24 * 3_600_000;
const EVENTS: [string, string][] = [['content-type', 'text/event-stream; charset=utf-8']];
const CLAIM = { account: 'acc_1', key: 'key_1', proof: 'p' };
const text = (value: string) => new TextEncoder().encode(value);

interface Conducted {
  call: Call;
  opened: () => void;
  attempted: () => void;
  reply: (reply: Reply) => void;
  fail: (error: Error) => void;
}

/** What an object keeps over a crash. */
class Disk {
  readonly rows = new Map<string, { row: ReplayRow; sealed: Uint8Array | null }>();
}

class World {
  now = 1_800_000_000_000;
  readonly conducted: Conducted[] = [];
  readonly background: Promise<void>[] = [];
  armed = 0;
  /** What the account says of a key. */
  refusal: ErrorCode | null = null;
  registered = true;
  checks = 0;
  private sleepers: { at: number; wake: () => void }[] = [];
  readonly replays: Replays;

  constructor(disk = new Disk(), limits = REPLAY_LIMITS) {
    const host: Host = {
      now: () => this.now,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          this.sleepers.push({ at: this.now + ms, wake: resolve });
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        }),
      rows: () => [...disk.rows.values()].map(({ row }) => row),
      put: (row, sealed) => void disk.rows.set(row.name, { row, sealed }),
      drop: (name) => void disk.rows.delete(name),
      sealed: (name) => disk.rows.get(name)?.sealed ?? null,
      arm: () => void (this.armed += 1),
      registered: () => this.registered,
      refusal: async () => {
        this.checks += 1;
        return this.refusal === null ? null : { code: this.refusal, detail: {} };
      },
      conduct: (call, opened, attempted) =>
        new Promise((resolve, reject) => this.conducted.push({ call, opened, attempted, reply: resolve, fail: reject })),
      background: (work) => void this.background.push(work),
    };
    this.replays = new Replays(host, limits);
  }

  async pass(ms: number): Promise<void> {
    this.now += ms;
    for (const sleeper of this.sleepers) if (sleeper.at <= this.now) sleeper.wake();
    await settled();
  }

  call(id: string, more: Partial<ReplayCall> = {}): Promise<Answered<ByteSource>> {
    const call: ReplayCall['call'] = {
      id,
      claim: CLAIM,
      chute: 'cht_1',
      method: 'POST',
      path: '/x',
      headers: [],
      body: text('{}'),
      bodyBytes: 0,
      maxTokens: null,
      tokens: null,
      stream: true,
      affinity: '',
      instance: null,
    };
    return this.replays.call({ name: 'n', print: 'p', key: new Uint8Array(32).fill(7), call, ...more });
  }

  async over(): Promise<void> {
    await Promise.all(this.background);
  }
}

/** Lets everything that can go on go on, sealing and opening among it. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => setTimeout(resolve, 1));
}

/** The call is opened, dispatched, and replies by what is written to the sink. */
async function streaming(world: World, headers = EVENTS): Promise<{ sink: ByteSink; call: Call; end: () => void }> {
  const { opened, attempted, reply, call } = world.conducted.at(-1) as Conducted;
  opened();
  attempted();
  let end = (): void => {};
  const over = new Promise<void>((resolve) => (end = resolve));
  const sink = await new Promise<ByteSink>((resolve) => {
    reply({ status: 200, headers, pump: (to) => (resolve(to), over) });
  });
  return { sink, call, end };
}

interface Read {
  head: Head | null;
  body: string;
  cut: boolean;
}

async function read(answered: Answered<ByteSource> | Promise<Answered<ByteSource>>): Promise<Read & { call: string }> {
  const got = await answered;
  if (got.kind === 'refused') throw new Error(`refused: ${got.code}`);
  const parts: Uint8Array[] = [];
  let isCut = false;
  try {
    for (let part = await got.answer.read(); !part.done; part = await got.answer.read()) parts.push(part.value);
  } catch {
    isCut = true;
  }
  const split = splitHead(Buffer.concat(parts));
  return { call: got.call, head: split?.head ?? null, body: Buffer.from(split?.body ?? []).toString(), cut: isCut };
}

describe('a call', () => {
  test('is conducted once; joiners see it from the start; later it is read from the disk, by another object too', async () => {
    const disk = new Disk();
    const world = new World(disk);
    const first = read(world.call('c1'));
    const { sink, end } = await streaming(world);
    await sink.write(text('data: 1\n\n'));
    const second = read(world.call('c2'));
    await sink.write(text('data: 2\n\n'));
    await sink.close();
    end();
    const expected = { call: 'c1', head: { status: 200, headers: EVENTS }, body: 'data: 1\n\ndata: 2\n\n', cut: false };
    expect(await Promise.all([first, second])).toEqual([expected, expected]);
    expect(await read(world.call('c3'))).toEqual(expected);
    expect(await read(new World(disk).call('c4'))).toEqual(expected);
    expect(world.conducted).toHaveLength(1);
  });

  test('who saw the end of an answer finds it on disk', async () => {
    const disk = new Disk();
    const world = new World(disk);
    const answered = await world.call('c1');
    const { sink, end } = await streaming(world);
    await sink.close();
    end();
    await read(answered);
    expect(disk.rows.get('n')?.row.state).toBe('done');
    expect(disk.rows.get('n')?.sealed).not.toBeNull();
  });

  test('a day later it is gone: from the answers at once, from the disk by the sweep', async () => {
    const disk = new Disk();
    const world = new World(disk);
    const first = read(world.call('c1'));
    const { sink, end } = await streaming(world);
    await sink.close();
    end();
    await first;
    expect(world.armed).toBeGreaterThan(0);
    await world.pass(DAY - 1);
    expect((await world.call('c2')).call).toBe('c1');
    await world.pass(1);
    void world.call('c3');
    expect(world.conducted).toHaveLength(2);
    const other = new World(disk);
    await other.pass(DAY + REPLAY_LIMITS.sweepMs);
    expect(other.replays.due).toBeLessThanOrEqual(other.now);
    other.replays.sweep();
    expect(disk.rows.size).toBe(0);
  });

  test('that the account refuses leaves nothing: whoever waited is told, the next one tries again', async () => {
    const disk = new Disk();
    const world = new World(disk);
    const asked = [read(world.call('c1')), read(world.call('c2'))];
    await settled();
    world.conducted[0]?.fail(new RipcordError('insufficient_credit', { required: 5n }));
    for (const answer of await Promise.all(asked)) expect(answer.head).toEqual({ error: 'insufficient_credit', detail: { required: 5n } });
    expect(disk.rows.size).toBe(0);
    await world.over();
    void world.call('c3');
    await settled();
    expect(world.conducted).toHaveLength(2);
  });

  test('that no instance had is tried again; one that an instance may have had is not', async () => {
    const disk = new Disk();
    const world = new World(disk);
    const first = read(world.call('c1'));
    world.conducted[0]?.opened();
    expect(disk.rows.get('n')?.row.state).toBe('running');
    world.conducted[0]?.fail(new RipcordError('no_capacity'));
    expect((await first).head).toEqual({ error: 'no_capacity', detail: {} });
    expect(disk.rows.size).toBe(0);

    const second = read(world.call('c2'));
    world.conducted[1]?.opened();
    world.conducted[1]?.attempted();
    world.conducted[1]?.fail(new RipcordError('miner_lost'));
    expect(await second).toMatchObject({ call: 'c2', head: { error: 'miner_lost' } });
    expect(await read(world.call('c3'))).toMatchObject({ call: 'c2', head: { error: 'miner_lost' } });
    expect(world.conducted).toHaveLength(2);
  });

  test('running when the object goes down: never run again', async () => {
    const disk = new Disk();
    const world = new World(disk);
    void world.call('c1');
    await streaming(world);
    const after = new World(disk);
    const got = await after.call('c2');
    expect(got).toMatchObject({ kind: 'refused', code: 'outcome_unknown', call: 'c1', detail: { hint: expect.stringContaining('c1') } });
    expect(after.conducted).toHaveLength(0);
  });

  test('not yet opened when the object goes down: nothing happened', async () => {
    const disk = new Disk();
    void new World(disk).call('c1');
    const after = new World(disk);
    void after.call('c2');
    await settled();
    expect(after.conducted).toHaveLength(1);
  });

  test('of a plain reply that breaks: each time it breaks at the same byte', async () => {
    const disk = new Disk();
    const world = new World(disk);
    const first = read(world.call('c1'));
    const { sink, end } = await streaming(world, [['content-type', 'text/plain']]);
    await sink.write(text('half'));
    await sink.abort(new RipcordError('miner_lost'));
    end();
    for (const answer of [await first, await read(world.call('c2')), await read(new World(disk).call('c3'))])
      expect(answer).toMatchObject({ body: 'half', cut: true });
  });
});

describe('without readers', () => {
  async function leave(world: World) {
    const got = await world.call('c1');
    if (got.kind !== 'answer') throw new Error(got.code);
    const it = await streaming(world);
    await it.sink.write(text('data: 1\n\n'));
    await got.answer.cancel();
    return it;
  }

  test('a call runs on for 120 s, is then ended, and says so to whoever comes', async () => {
    const world = new World();
    const { sink, call, end } = await leave(world);
    await world.pass(119_999);
    expect(call.signal.aborted).toBe(false);
    await world.pass(1);
    expect(call.signal.aborted).toBe(true);
    await sink.close(); // as the pump does when its source was cancelled
    end();
    await world.over();
    const later = await read(world.call('c2'));
    expect(later.body).toMatch(/^data: 1\n\ndata: \{"error":\{.*"code":"cancelled".*"request_id":"c1"\}\}\n\n$/);
    expect(later.cut).toBe(false);
    expect(world.conducted).toHaveLength(1);
  });

  test('one who comes in time stops the clock, and starts it anew by leaving', async () => {
    const world = new World();
    const { call } = await leave(world);
    await world.pass(100_000);
    const again = await world.call('c2');
    await world.pass(500_000);
    expect(call.signal.aborted).toBe(false);
    if (again.kind === 'answer') await again.answer.cancel();
    await world.pass(119_999);
    expect(call.signal.aborted).toBe(false);
    await world.pass(1);
    expect(call.signal.aborted).toBe(true);
  });

  test('an answer that is over needs no clock', async () => {
    const world = new World();
    const { sink, call, end } = await leave(world);
    await sink.close();
    end();
    await world.over();
    await world.pass(500_000);
    expect(call.signal.aborted).toBe(false);
    expect((await read(world.call('c2'))).body).toBe('data: 1\n\n');
  });

  test('one too large to keep is ended at once', async () => {
    const world = new World(new Disk(), { ...REPLAY_LIMITS, answerBytes: 100 } as typeof REPLAY_LIMITS);
    const { sink, call } = await leave(world);
    await sink.write(new Uint8Array(200));
    expect(call.signal.aborted).toBe(true);
    expect(await world.call('c2')).toMatchObject({ kind: 'refused', code: 'idempotent_replay_too_large', call: 'c1' });
  });
});

describe('who may', () => {
  test("every reading is checked with the account; a new call is the account's to open", async () => {
    const world = new World();
    const first = read(world.call('c1'));
    const { sink, end } = await streaming(world);
    expect(world.checks).toBe(0);
    world.refusal = 'key_expired';
    expect(await world.call('c2')).toMatchObject({ kind: 'refused', code: 'key_expired' });
    await sink.close();
    end();
    await first;
    expect(await world.call('c3')).toMatchObject({ kind: 'refused', code: 'key_expired' });
    // Before it is said that the key was used with something else.
    expect(await world.call('c4', { print: 'other' })).toMatchObject({ code: 'key_expired' });
    world.refusal = null;
    expect(await world.call('c5', { print: 'other' })).toMatchObject({ code: 'idempotency_key_reused' });
  });

  test('an answer does not open with another key', async () => {
    const disk = new Disk();
    const world = new World(disk);
    const first = read(world.call('c1'));
    const { sink, end } = await streaming(world);
    await sink.close();
    end();
    await first;
    await expect(new World(disk).call('c2', { key: new Uint8Array(32) })).rejects.toThrow();
  });
});

describe('a request that the Worker answers', () => {
  const ask = (call: string) => ({ name: 'n', print: 'p', key: new Uint8Array(32), call, claim: CLAIM, bytes: 2 });
  const answer = Buffer.concat([headBytes({ status: 201, headers: [] }), text('{"id":1}')]);
  const told = (call: string, keep = true) => ({ name: 'n', call, key: new Uint8Array(32), answer, keep });

  test('the first is to answer; the others get what it told', async () => {
    const disk = new Disk();
    const world = new World(disk);
    expect(await world.replays.request(ask('r1'))).toEqual({ kind: 'yours' });
    expect(await world.replays.request(ask('r1'))).toEqual({ kind: 'yours' });
    const second = world.replays.request(ask('r2')) as Promise<Answered<ByteSource>>;
    await world.replays.answered(told('r1'));
    const expected = { call: 'r1', head: { status: 201, headers: [] }, body: '{"id":1}', cut: false };
    expect(await read(second)).toEqual(expected);
    expect(await read(world.replays.request(ask('r3')) as Promise<Answered<ByteSource>>)).toEqual(expected);
    expect(await read(new World(disk).replays.request(ask('r4')) as Promise<Answered<ByteSource>>)).toEqual(expected);
  });

  test('a refusal is told to who waits, and not kept', async () => {
    const disk = new Disk();
    const world = new World(disk);
    await world.replays.request(ask('r1'));
    const second = world.replays.request(ask('r2')) as Promise<Answered<ByteSource>>;
    await settled();
    await world.replays.answered(told('r1', false));
    expect((await read(second)).body).toBe('{"id":1}');
    expect(disk.rows.size).toBe(0);
    expect(await world.replays.request(ask('r3'))).toEqual({ kind: 'yours' });
  });

  test('a Worker that does not tell in time: unknown, for those who wait and those who come', async () => {
    const world = new World();
    await world.replays.request(ask('r1'));
    const second = world.replays.request(ask('r2')) as Promise<Answered<ByteSource>>;
    await settled();
    await world.pass(REPLAY_LIMITS.requestMs);
    expect((await read(second)).head).toMatchObject({ error: 'outcome_unknown' });
    await world.replays.answered(told('r1'));
    expect(await world.replays.request(ask('r3'))).toMatchObject({ kind: 'refused', code: 'outcome_unknown', call: 'r1' });
  });

  test('one that told in time stays as it was told', async () => {
    const world = new World();
    await world.replays.request(ask('r1'));
    await world.replays.answered(told('r1'));
    await world.over();
    await world.pass(REPLAY_LIMITS.requestMs);
    expect((await read(world.replays.request(ask('r2')) as Promise<Answered<ByteSource>>)).body).toBe('{"id":1}');
  });

  test('without an account nothing is kept', async () => {
    const world = new World();
    world.registered = false;
    expect(await world.replays.request(ask('r1'))).toEqual({ kind: 'unkept' });
  });
});
