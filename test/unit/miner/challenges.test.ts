/** Challenges in the core of a Miner object: from announced to on record, with agents that stay away, come late or lie. */
import { describe, expect, test } from 'vitest';
import { DEVELOPMENT, QUICKNET, challengeId, publishedAt, roundAt, seedingRound, type ChallengeKind } from '#protocol/challenge/index.ts';
import { CHALLENGE_LIMITS } from '#protocol/challenge/suite.ts';
import { chuteConfigSchema, type Down, type Inventory, type Login, type Up } from '#protocol';
import type { ChallengeOrder, ChallengeTold } from '../../../functions/calls/ports.ts';
import type { Draft } from '../../../functions/miner/challenge-row.ts';
import { AWAY_MS, REPEATS, ROWS, STALE_MS, UPLOADS } from '../../../functions/miner/challenges.ts';
import { MinerCore } from '../../../functions/miner/core.ts';
import type { Effect } from '../../../functions/miner/effects.ts';
import type { Row } from '../../../functions/miner/rows.ts';

const AGENT = 'agt_1';
const HOTKEY = '5'.repeat(48);
const chain = { ...QUICKNET, period: 1 };
const suite = DEVELOPMENT;
const SLOT_MS = suite.cadence.slotSeconds * 1000;
/** The begin of a slot. */
const START = 1_900_000_000_000;
const SLOT = START / 1000;
const judging = { chain, suite, token: (id: string, agent: string, until: number) => `${agent}.${until}.${id}` };
const randomness = (round: number) => round.toString(16).padStart(64, '0');
const hash = 'ab'.repeat(32);

const login = (sessionKey: string): Login => ({
  hotkey: HOTKEY,
  name: 'box',
  agent: AGENT,
  challenge: '1.a.b',
  origin: 'https://edge.test',
  sessionKey,
  sealKey: '11'.repeat(32),
  expires: START + 86_400_000,
  versions: [2, 1],
  signature: '22'.repeat(64),
});

function devices(count: number): Inventory {
  const one = { kind: 'cpu' as const, name: 'odd\0name', memoryMb: 64 };
  return {
    agentVersion: '0',
    platform: 'test',
    runtimes: ['process'],
    devices: Array.from({ length: count }, (_, at) => ({ ...one, id: `d${at}` })),
    region: 'x',
  };
}

/** The object's shell: rows that survive, a record that answers when told to, a beacon that has what is out. */
class Shell {
  now = START;
  core: MinerCore;
  readonly rows = new Map<string, Row>();
  readonly said: Down[] = [];
  readonly record = new Map<string, Draft>();
  /** Sizes of what was told to the record at once. */
  readonly tells: number[] = [];
  recordUp = true;
  /** Tries to record the agent itself. */
  records = 0;
  beaconUp = true;
  private alarmAt: number | null = null;

  constructor() {
    this.core = new MinerCore([], 10, () => new Uint8Array(32), this.now, judging);
  }

  run(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.do === 'put') this.rows.set(effect.row.key, structuredClone(effect.row));
      if (effect.do === 'delete') for (const key of effect.keys) this.rows.delete(key);
      if (effect.do === 'tell') this.said.push(effect.message);
      if (effect.do === 'record') {
        this.records += 1;
        this.run(this.core.onRecorded({ taken: this.recordUp, shutUntil: null }, this.now));
      }
      if (effect.do === 'alarm') this.alarmAt = Math.min(this.alarmAt ?? Infinity, effect.at);
      if (effect.do === 'pulse') {
        expect(this.now, 'nobody asks for a pulse that is not out').toBeGreaterThanOrEqual(publishedAt(chain, effect.round));
        this.run(this.core.onPulse(effect.round, this.beaconUp ? randomness(effect.round) : null, this.now));
      }
      if (effect.do === 'report') this.run(this.core.onReportAnswer(effect.report, { known: true, slots: 1, watched: false }, this.now));
      if (effect.do === 'transcripts') {
        this.tells.push(effect.drafts.length);
        if (!this.recordUp) continue;
        for (const draft of effect.drafts) this.record.set(draft.id, structuredClone(draft));
        this.run(
          this.core.onTranscripts(
            effect.drafts.map(({ id, end }) => ({ id, ended: end !== null })),
            this.now,
          ),
        );
      }
    }
  }

  /** Time goes on, alarm by alarm. */
  until(at: number): void {
    for (let steps = 0; this.alarmAt !== null && this.alarmAt <= at; steps++) {
      if (steps > 5_000) throw new Error('alarms without end');
      this.now = Math.max(this.now, this.alarmAt);
      this.alarmAt = null;
      this.run(this.core.onAlarm(this.now));
    }
    this.now = at;
  }

  connect({ version = 2, count = 1, key = '33'.repeat(32) } = {}): void {
    this.run(this.core.onClose(this.core.epoch, this.now));
    this.run(this.core.onLogin(AGENT, HOTKEY, 'box', this.now, version, undefined, 0, login(key)));
    this.say({ type: 'hello', inventory: devices(count), instances: [], streams: [] });
  }

  disconnect(): void {
    this.run(this.core.onClose(this.core.epoch, this.now));
  }

  /** As the platform does it; the socket stays. Rows come back by their keys. */
  evict(): void {
    const { epoch, version, connected } = this.core;
    const rows = [...this.rows.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    this.core = new MinerCore(rows, 10, () => new Uint8Array(32), this.now, judging);
    this.core.onWake(epoch, connected, this.now, version);
    this.run(this.core.onStart(this.now));
  }

  /** As a deploy does it: the socket is gone, and nobody noted when. */
  restart(): void {
    this.core = new MinerCore([...this.rows.values()], 10, () => new Uint8Array(32), this.now, judging);
    this.run(this.core.onStart(this.now));
  }

  say(message: Up): void {
    this.run(this.core.onText(message, this.now));
  }

  ask(of: Partial<ChallengeOrder> = {}): ChallengeTold {
    const { told, effects } = this.core.challenge([order(of)], this.now);
    this.run(effects);
    return told[0] ?? { id: '', state: 'refused', why: 'nothing was told' };
  }

  commit(id: string): void {
    this.say({ type: 'commit', id, root: hash, seen: roundAt(chain, this.now), helper: 'cpu', signature: 'cd'.repeat(64) });
  }

  mayOpen(id: string): boolean {
    const { may, effects } = this.core.mayOpen(id, this.now);
    this.run(effects);
    return may;
  }

  open(id: string): boolean {
    const { taken, effects } = this.core.onOpened(id, hash, 9, this.now);
    this.run(effects);
    return taken;
  }

  heard<T extends Down['type']>(type: T): Extract<Down, { type: T }>[] {
    return this.said.filter((m): m is Extract<Down, { type: T }> => m.type === type);
  }

  end(id: string): string | null | undefined {
    return this.record.get(id)?.end;
  }
}

function order(of: Partial<ChallengeOrder> = {}): ChallengeOrder {
  const { kind = 'pow.mm', target = `${AGENT}/d0`, slot = SLOT } = of;
  return { id: challengeId(kind, target, slot), kind, target, slot, scheduled: true, judge: 'judge', ...of };
}

const idOf = (kind: ChallengeKind, target = `${AGENT}/d0`): string => challengeId(kind, target, SLOT);
const ID = idOf('pow.mm');
const SEEDED = publishedAt(chain, seedingRound(chain, SLOT, suite));

/** Sent its seed. */
function sent(more: { count?: number } = {}): Shell {
  const shell = new Shell();
  shell.connect(more);
  expect(shell.ask()).toEqual({ id: ID, state: 'started', why: '' });
  shell.until(SEEDED);
  expect(shell.heard('challenge')).toHaveLength(1);
  return shell;
}

function sampled(): Shell {
  const shell = sent();
  shell.until(SEEDED + 700);
  shell.commit(ID);
  shell.until(SEEDED + 1_000);
  return shell;
}

describe('the way of a challenge', () => {
  test('from asked for to on record, each step at its time', () => {
    const shell = new Shell();
    shell.connect();
    shell.ask();
    expect(shell.heard('challenge'), 'nothing is sent before its round is out').toEqual([]);
    const [ping] = shell.heard('ping');
    shell.until(START + 40);
    shell.say({ type: 'pong', id: ping?.id ?? '' });
    shell.until(SEEDED);
    expect(shell.heard('challenge')).toEqual([
      {
        type: 'challenge',
        id: ID,
        kind: 'pow.mm',
        target: `${AGENT}/d0`,
        profile: 'mm-128',
        steps: expect.any(Number) as number,
        round: seedingRound(chain, SLOT, suite),
        randomness: randomness(seedingRound(chain, SLOT, suite)),
        withinMs: CHALLENGE_LIMITS.commitMs,
        device: 'd0',
        instance: null,
      },
    ]);
    shell.until(SEEDED + 700);
    shell.commit(ID);
    expect(shell.record.get(ID), 'on record from the commit on').toMatchObject({
      commit: { root: hash, at: SEEDED + 700 },
      end: null,
      rtt_ms: 40,
    });
    expect(shell.heard('sample')).toEqual([]);
    shell.until(SEEDED + 1_000);
    const round = roundAt(chain, SEEDED + 700) + 1;
    const token = `${AGENT}.${SEEDED + 1_000 + CHALLENGE_LIMITS.openMs}.${ID}`;
    expect(shell.heard('sample')).toEqual([
      { type: 'sample', id: ID, round, randomness: randomness(round), token, withinMs: CHALLENGE_LIMITS.openMs },
    ]);
    expect(shell.mayOpen(ID)).toBe(true);
    expect(shell.open(ID)).toBe(true);
    expect(shell.record.get(ID)).toMatchObject({
      end: 'opened',
      ended_at: SEEDED + 1_000,
      opening: { sha256: hash, bytes: 9 },
      device: { id: 'd0', name: 'oddname' },
      sample: { round, sent_at: SEEDED + 1_000 },
      login: { sessionKey: '33'.repeat(32) },
    });
  });

  test('an object that is put to sleep at any step goes on', () => {
    const shell = new Shell();
    shell.connect();
    shell.ask();
    shell.evict();
    shell.until(SEEDED);
    shell.evict();
    shell.until(SEEDED + 700);
    shell.commit(ID);
    shell.evict();
    shell.until(SEEDED + 1_000);
    expect(shell.heard('sample')).toHaveLength(1);
    shell.evict();
    expect(shell.mayOpen(ID) && shell.open(ID)).toBe(true);
    expect(shell.end(ID)).toBe('opened');
    expect(shell.ask()).toEqual({ id: ID, state: 'ended', why: '' });
  });

  test('a socket that is renewed meanwhile is no matter', () => {
    const shell = sent();
    shell.until(SEEDED + 500);
    shell.disconnect();
    shell.connect();
    expect(shell.heard('challenge')[1], 'the seed once more, with what is left of the time').toEqual({
      ...shell.heard('challenge')[0],
      withinMs: CHALLENGE_LIMITS.commitMs - 500,
    });
    shell.commit(ID);
    expect(shell.record.get(ID)).toMatchObject({ commit: { root: hash }, end: null });
  });

  test('many judges ask for it once', () => {
    const shell = sent();
    expect(shell.ask({ judge: 'another' })).toEqual({ id: ID, state: 'running', why: '' });
    shell.commit(ID);
    shell.until(SEEDED + 1_000);
    shell.open(ID);
    expect(shell.ask({ judge: 'a third' })).toEqual({ id: ID, state: 'ended', why: '' });
    expect(shell.heard('challenge')).toHaveLength(1);
  });
});

describe('what does not come', () => {
  test.each<[string, (shell: Shell) => void, string]>([
    ['no commit', (s) => s.until(SEEDED + CHALLENGE_LIMITS.commitMs), 'no_commit'],
    ['the agent declines', (s) => s.say({ type: 'decline', id: ID, reason: 'no prover for cpu' }), 'declined'],
    ['the agent does not come back', (s) => (s.disconnect(), s.until(SEEDED + CHALLENGE_LIMITS.commitMs)), 'disconnected'],
    ['another run of the agent takes over', (s) => s.connect({ key: '44'.repeat(32) }), 'disconnected'],
  ])('%s', (_, lapse, end) => {
    const shell = sent();
    lapse(shell);
    expect(shell.end(ID)).toBe(end);
    shell.until(shell.now + 2 * SLOT_MS);
    shell.commit(ID);
    expect(shell.end(ID), 'what has ended stands still').toBe(end);
  });

  test('an opening: leaving after the commit saves nobody', () => {
    const shell = sampled();
    shell.disconnect();
    shell.until(SEEDED + 1_000 + CHALLENGE_LIMITS.openMs);
    expect(shell.end(ID)).toBe('no_opening');
    expect([shell.mayOpen(ID), shell.open(ID)]).toEqual([false, false]);
  });

  test('an agent that is back in time is told the sample again', () => {
    const shell = sent();
    shell.until(SEEDED + 700);
    shell.commit(ID);
    shell.disconnect();
    shell.until(SEEDED + 5_000);
    expect(shell.heard('sample')).toEqual([]);
    shell.connect({ key: '44'.repeat(32) });
    expect(shell.heard('sample')).toMatchObject([{ id: ID, withinMs: CHALLENGE_LIMITS.openMs - 4_000 }]);
    expect(shell.open(ID)).toBe(true);
    expect(shell.record.get(ID)?.login.sessionKey, 'of the session that signed').toBe('33'.repeat(32));
  });

  test('a pulse: the seed is never an old one, and in the end it is nobody’s fault', () => {
    const shell = new Shell();
    shell.connect();
    shell.beaconUp = false;
    shell.ask();
    shell.until(SEEDED + STALE_MS + 1_500);
    shell.beaconUp = true;
    shell.until(SEEDED + STALE_MS + 4_000);
    const [challenge] = shell.heard('challenge');
    const at = [...shell.rows.values()].flatMap((row) => (row.kind === 'challenge' ? [row.draft.sent_at] : []))[0] ?? 0;
    expect(challenge?.round).toBeGreaterThan(seedingRound(chain, SLOT, suite));
    expect(at - publishedAt(chain, challenge?.round ?? 0)).toBeLessThanOrEqual(STALE_MS);
    shell.beaconUp = false;
    shell.commit(ID);
    shell.until(shell.now + CHALLENGE_LIMITS.openMs);
    expect(shell.end(ID)).toBe('no_pulse');
  });

  test('a seed that is out already is nobody’s: not of one asked for late, nor of an agent that was away when it came', () => {
    const late = new Shell();
    late.connect();
    late.until(SEEDED + 900);
    late.ask();
    late.until(SEEDED + 1_000);
    expect(late.heard('challenge')).toMatchObject([{ round: roundAt(chain, SEEDED + 900) + 1 }]);
    const away = new Shell();
    away.connect();
    away.ask();
    away.disconnect();
    away.until(SEEDED + 1_200);
    away.connect();
    expect(away.heard('challenge')).toEqual([]);
    away.until(SEEDED + 2_000);
    expect(away.heard('challenge')).toMatchObject([{ round: roundAt(chain, SEEDED + 1_200) + 1 }]);
  });

  test('any pulse at all', () => {
    const shell = new Shell();
    shell.connect();
    shell.beaconUp = false;
    shell.ask();
    shell.until(START + 3 * CHALLENGE_LIMITS.commitMs);
    expect(shell.end(ID)).toBe('no_pulse');
    expect(shell.heard('challenge')).toEqual([]);
  });
});

describe('who is asked', () => {
  test('an agent of version 1 is not, and that is on record', () => {
    const shell = new Shell();
    shell.connect({ version: 1 });
    expect(shell.ask()).toEqual({ id: ID, state: 'ended', why: '' });
    expect(shell.record.get(ID)).toMatchObject({ end: 'declined', declined: 'protocol 1', sent_at: 0 });
    shell.until(START + 60_000);
    expect(shell.heard('challenge')).toEqual([]);
  });

  test('one that left within the slot finds its test when it is back, under a seed that nobody knew before', () => {
    const shell = new Shell();
    shell.connect();
    shell.until(START + 10);
    shell.disconnect();
    expect(shell.ask()).toEqual({ id: ID, state: 'started', why: '' });
    const back = START + AWAY_MS - 100;
    shell.until(back);
    expect(shell.end(ID)).toBeUndefined();
    shell.connect();
    shell.until(back + 1_000);
    expect(shell.heard('challenge')).toMatchObject([{ id: ID, round: roundAt(chain, back) + 1 }]);
  });

  test('one that left within the slot and stays away is on record as gone; one that left before it is not asked', () => {
    const shell = new Shell();
    shell.connect();
    shell.until(START + 10);
    shell.disconnect();
    expect(shell.ask()).toEqual({ id: ID, state: 'started', why: '' });
    shell.until(START + AWAY_MS);
    expect(shell.end(ID)).toBe('disconnected');
    const slot = SLOT + AWAY_MS / 1000;
    expect(shell.ask({ slot, id: challengeId('pow.mm', `${AGENT}/d0`, slot) })).toMatchObject({ state: 'refused', why: 'offline' });
  });

  test.each<[string, Partial<ChallengeOrder>]>([
    ['no such device', { target: `${AGENT}/d9` }],
    ['the device of another agent', { target: 'agt_2/d0' }],
    ['no such instance', { kind: 'fs', target: 'ins_1' }],
  ])('%s', (_, of) => {
    const shell = new Shell();
    shell.connect();
    expect(shell.ask(of)).toMatchObject({ state: 'refused', why: 'no_target' });
    expect(shell.rows.size, 'nothing is kept of it').toBe(new Shell().rows.size + 2);
  });

  test('none ever logged in', () => {
    expect(new Shell().ask()).toMatchObject({ state: 'refused', why: 'offline' });
  });

  test('one whose object was cut off with its socket was there, whenever it left before', () => {
    const shell = new Shell();
    shell.connect();
    shell.disconnect();
    shell.until(START + 2 * SLOT_MS);
    shell.connect();
    shell.restart();
    const slot = SLOT + 2 * suite.cadence.slotSeconds;
    const id = challengeId('pow.mm', `${AGENT}/d0`, slot);
    expect(shell.ask({ slot, id })).toMatchObject({ state: 'started' });
  });
});

describe('who is in the record', () => {
  test('an agent, whatever it calls its devices: all who are counted with it go with it', () => {
    const shell = new Shell();
    shell.connect();
    const device = { id: 'd\0\ud800', kind: 'gpu' as const, name: 'a\0b\udfff', memoryMb: 1 };
    const odd = { ...devices(1), region: '\0', devices: [device] };
    shell.disconnect();
    shell.run(shell.core.onLogin(AGENT, HOTKEY, 'box', shell.now, 2, undefined, 0, login('33'.repeat(32))));
    shell.say({ type: 'hello', inventory: odd, instances: [], streams: [] });
    expect(shell.core.facts()?.inventory).toMatchObject({ region: '', devices: [{ id: 'd\ufffd', name: 'ab\ufffd' }] });
    shell.disconnect();
    shell.run(shell.core.onLogin(AGENT, HOTKEY, 'box', shell.now, 2, undefined, 0, login('33'.repeat(32))));
    const nameless = { ...odd, devices: [{ ...device, id: '\0' }] };
    expect(() => shell.say({ type: 'hello', inventory: nameless, instances: [], streams: [] })).toThrow('inventory');
  });

  test('it is written until it is there', () => {
    const shell = new Shell();
    shell.recordUp = false;
    shell.connect();
    shell.until(START + 20_000);
    expect(shell.records).toBe(5);
    shell.recordUp = true;
    shell.until(START + 60_000);
    expect(shell.records).toBe(6);
  });

  test('a session is over when its key is', () => {
    const shell = new Shell();
    expect(shell.core.isExpired(START)).toBe(false);
    shell.connect();
    expect([START + 86_399_999, START + 86_400_000].map((at) => shell.core.isExpired(at))).toEqual([false, true]);
  });
});

describe('bounds', () => {
  test('the work of one device is one after the other, each seeded when its turn comes', () => {
    const shell = sent();
    expect(shell.ask({ kind: 'pow.mem', id: idOf('pow.mem') })).toMatchObject({ state: 'started' });
    shell.until(SEEDED + 8_000);
    expect(shell.heard('challenge')).toHaveLength(1);
    shell.commit(ID);
    shell.until(SEEDED + 9_500);
    expect(shell.heard('challenge'), 'its opening belongs to it').toHaveLength(1);
    shell.open(ID);
    shell.until(SEEDED + 12_000);
    expect(shell.heard('challenge')[1]).toMatchObject({ kind: 'pow.mem', round: roundAt(chain, SEEDED + 9_500) + 1 });
  });

  test('what is due goes before what a judge asked out of turn, and what was begun stays alone through a restart', () => {
    const shell = new Shell();
    shell.connect();
    shell.ask({ kind: 'pow.mem', id: 'chl_0', scheduled: false, judge: 'first of all' });
    shell.ask();
    shell.until(SEEDED);
    expect(shell.heard('challenge')).toMatchObject([{ id: ID, round: seedingRound(chain, SLOT, suite) }]);
    shell.evict();
    shell.until(SEEDED + 5_000);
    expect(shell.heard('challenge')).toHaveLength(1);
    shell.say({ type: 'decline', id: ID, reason: 'no' });
    shell.until(SEEDED + 7_000);
    expect(shell.heard('challenge')[1]).toMatchObject({ id: 'chl_0' });
  });

  test('what judges ask out of turn leaves room for what is due', () => {
    const shell = new Shell();
    shell.connect({ count: 64 });
    const ask = (at: number, kind: ChallengeKind, scheduled: boolean) => {
      const target = `${AGENT}/d${at}`;
      return shell.ask({ target, kind, scheduled, id: challengeId(kind, target, SLOT) });
    };
    for (let at = 0; at < REPEATS; at++) expect(ask(at, 'pow.mem', false).state).toBe('started');
    expect(ask(REPEATS, 'pow.mem', false)).toMatchObject({ state: 'refused', why: 'busy' });
    for (let at = 0; at < CHALLENGE_LIMITS.runningPerAgent; at++) expect(ask(at, 'pow.mm', true).state).toBe('started');
    shell.until(SEEDED);
    const rounds = new Set(shell.heard('challenge').map((c) => `${c.kind} ${c.round}`));
    expect([...rounds], 'the whole flash in its round').toEqual([`pow.mm ${seedingRound(chain, SLOT, suite)}`]);
  });

  test('other devices run beside it, up to a number', () => {
    const shell = new Shell();
    shell.connect({ count: 64 });
    const ask = (at: number, kind: ChallengeKind = 'pow.mm') => {
      const target = `${AGENT}/d${at}`;
      return shell.ask({ target, kind, id: challengeId(kind, target, SLOT) });
    };
    for (let at = 0; at < CHALLENGE_LIMITS.runningPerAgent; at++) expect(ask(at).state).toBe('started');
    expect(ask(0, 'pow.mem')).toMatchObject({ state: 'refused', why: 'busy' });
    shell.until(SEEDED);
    expect(shell.heard('challenge')).toHaveLength(CHALLENGE_LIMITS.runningPerAgent);
    shell.connect({ count: 64, key: '44'.repeat(32) });
    expect(Math.max(...shell.tells), 'the record is told in parts').toBe(32);
    expect(shell.record.size).toBe(CHALLENGE_LIMITS.runningPerAgent);
  });

  test('a record that does not answer is told again, and fills nothing without end', () => {
    const shell = new Shell();
    shell.connect({ count: 64, version: 1 });
    shell.recordUp = false;
    let taken = 0;
    let last: ChallengeTold | null = null;
    for (let slot = SLOT; last?.state !== 'refused'; slot += suite.cadence.slotSeconds) {
      for (let at = 0; at < 64 && last?.state !== 'refused'; at++) {
        const target = `${AGENT}/d${at}`;
        last = shell.ask({ target, slot, id: challengeId('pow.mm', target, slot) });
        if (last.state === 'ended') taken += 1;
      }
    }
    expect([taken, last?.why]).toEqual([ROWS, 'busy']);
    shell.recordUp = true;
    shell.until(shell.now + 60_000);
    expect(shell.record.size).toBe(ROWS);
    shell.until(shell.now + 10 * SLOT_MS);
    expect([...shell.rows.keys()].filter((key) => key.startsWith('ch:'))).toEqual([]);
  });

  test('what judges ask out of turn: so many of a device in an hour, so many of them by one', () => {
    const shell = new Shell();
    shell.connect();
    const repeat = (at: number, judge: string) => {
      const slot = SLOT + at * suite.cadence.slotSeconds;
      return shell.ask({ scheduled: false, judge, slot, id: challengeId('pow.mm', `${AGENT}/d0`, slot) }).why;
    };
    expect([repeat(0, 'a'), repeat(1, 'a'), repeat(2, 'a')]).toEqual(['', '', 'budget']);
    expect([repeat(3, 'b'), repeat(4, 'b'), repeat(5, 'c')]).toEqual(['', 'budget', 'budget']);
    shell.evict();
    expect(repeat(6, 'c'), 'it outlives the object').toBe('budget');
    shell.until(START + 3_600_000);
    expect(repeat(360, 'c')).toBe('');
  });

  test('uploads of one opening', () => {
    const shell = sampled();
    for (let n = 0; n < UPLOADS; n++) expect(shell.mayOpen(ID)).toBe(true);
    expect(shell.mayOpen(ID)).toBe(false);
    expect(shell.open(ID), 'one that was begun may end').toBe(true);
    expect(shell.open(ID), 'the first stands').toBe(false);
  });

  test('a round trip is the least of a day', () => {
    const shell = new Shell();
    shell.connect();
    const measure = (ms: number): void => {
      shell.ask({ slot: Math.floor(shell.now / SLOT_MS) * suite.cadence.slotSeconds, id: `chl_${shell.now}` });
      const id = shell.heard('ping').at(-1)?.id ?? '';
      shell.until(shell.now + ms);
      shell.say({ type: 'pong', id });
    };
    const least = () => [...shell.rows.values()].flatMap((row) => (row.kind === 'rtt' ? [row.hours.map((h) => h.ms)] : []))[0] ?? [];
    for (let hour = 0; hour < 30; hour++) {
      measure(100 + hour);
      shell.until(START + (hour + 1) * 3_600_000);
    }
    expect(least()).toEqual(Array.from({ length: 24 }, (_, at) => 106 + at));
  });
});

describe('a gate that is shut', () => {
  const spec = {
    chute: 'cht_1',
    name: 'o/x',
    account: 'acc_1',
    version: 'ab'.repeat(32),
    code: { sha256: hash, bytes: 1, manifest: { root: hash, leaves: 9 } },
  };
  const config = chuteConfigSchema.parse({ name: 'x', public: true, command: ['x'] });

  /** With a live instance of a public chute. */
  function serving(): Shell {
    const shell = new Shell();
    shell.connect();
    shell.say({ type: 'claim', ref: 'r', chute: 'cht_1', version: spec.version });
    const answer = { kind: 'grant', instance: 'ins_1', deadlineMs: 1, spec: { ...spec, config } } as const;
    shell.run(shell.core.onClaimAnswer('r', answer, shell.now));
    shell.say({ type: 'report', report: { instance: 'ins_1', chute: 'cht_1', version: spec.version, state: 'live', detail: '' } });
    return shell;
  }

  test('files are asked for by the manifest of the grant, and uploaded at once', () => {
    const shell = serving();
    const id = challengeId('fs', 'ins_1', SLOT);
    shell.ask({ kind: 'fs', target: 'ins_1', id });
    expect(shell.ask({ kind: 'weights', target: 'ins_1', id: 'chl_w' })).toMatchObject({ state: 'refused', why: 'no_target' });
    shell.until(SEEDED);
    expect(shell.heard('challenge')).toMatchObject([{ kind: 'fs', instance: 'ins_1', device: null, token: expect.any(String) as string }]);
    expect(shell.mayOpen(id) && shell.open(id)).toBe(true);
    expect(shell.record.get(id)).toMatchObject({ end: 'opened', commit: null, instance: { manifest: hash, leaves: 9, chute: 'cht_1' } });
  });

  test('files are not asked of an instance that is gone when the agent is back', () => {
    const shell = serving();
    const id = challengeId('fs', 'ins_1', SLOT);
    shell.ask({ kind: 'fs', target: 'ins_1', id });
    shell.disconnect();
    shell.until(SEEDED + 1_000);
    shell.connect();
    shell.until(SEEDED + 5_000);
    expect(shell.heard('challenge')).toEqual([]);
    expect(shell.record.get(id)).toMatchObject({ end: 'disconnected', sent_at: 0 });
  });

  test('stops what serves, takes no calls and no claims, and opens by itself', () => {
    const shell = serving();
    const until = START + 86_400_000;
    shell.run(shell.core.shutGate(until, shell.now));
    expect(shell.heard('stop')).toMatchObject([{ instance: 'ins_1', reason: 'gated' }]);
    expect(shell.core.listInstances()).toMatchObject([{ state: 'draining' }]);
    expect(shell.core.why(shell.now)?.gated).toBe(true);
    shell.evict();
    shell.say({ type: 'claim', ref: 'r2', chute: 'cht_1', version: spec.version });
    expect(shell.heard('refusal')).toMatchObject([{ ref: 'r2', code: 'cooling_down' }]);
    shell.say({ type: 'report', report: { instance: 'ins_2', chute: 'cht_1', version: spec.version, state: 'live', detail: '' } });
    expect(shell.heard('stop').at(-1)).toMatchObject({ instance: 'ins_2', reason: 'gated' });
    shell.until(until);
    expect(shell.core.why(shell.now)?.gated).toBe(false);
    expect(shell.rows.has('gate')).toBe(false);
    shell.say({ type: 'claim', ref: 'r3', chute: 'cht_1', version: spec.version });
    expect(shell.heard('refusal')).toHaveLength(1);
  });
});
