/** Transcripts and the verdicts on them: what the edge wrote, who signed, which round, when it came, what it proves. */
import { describe, expect, it } from 'vitest';
import { challengeSeed, type Transcript } from '#protocol/challenge/transcript.ts';
import { MAINNET } from '#protocol/challenge/suite.ts';
import { verdictSchema, VERDICTS } from '#protocol/challenge/verdict.ts';
import { verifyHotkey } from '../../../functions/gate/hotkey.ts';
import { Logins } from '../../../validator-cron/judge/logins.ts';
import { slowerClass } from '../../../validator-cron/judge/time.ts';
import { ask, commit, honest, makeAgent, makeJudge, opened, play, pulse } from '../../cheats/stage.ts';

const [agent, other] = [makeAgent(1), makeAgent(2)];
const judge = makeJudge();
const asked = ask(agent, 'small', 1);
const proof = honest(asked.work);
const good = play(agent, asked, proof);
/** The same challenge with another time of the commit, which another sample and another signature follow from. */
const after = (afterMs: number, rtt_ms: number | null = 40) =>
  play(agent, { ...asked, transcript: { ...asked.transcript, rtt_ms } }, proof, { afterMs });
const judged = (change: Partial<Transcript>) => judge({ ...good.transcript, ...change }, good.bytes);

describe('an honest challenge', () => {
  it('is proven, at its time and rate', () => {
    const verdict = judge(good.transcript, good.bytes);
    expect(verdict).toMatchObject({ reason: 'proven', elapsed_ms: 3_900, rate: 2, class: 'small', wrong: null });
    expect(verdictSchema.parse(verdict)).toEqual(verdict);
  });

  it('of memory is proven', () => {
    const memory = ask(agent, 'small', 2, 'pow.mem');
    const { transcript, bytes } = play(agent, memory, honest(memory.work), { afterMs: 1_000 });
    expect(judge(transcript, bytes)).toMatchObject({ reason: 'proven', rate: 16_384, class: 'small' });
    expect(judge(play(agent, memory, honest(memory.work), { afterMs: 5_101 }).transcript, bytes).reason).not.toBe('proven');
  });
});

describe('the window', () => {
  it.each([
    [1_999, 40, 'too_fast', 'small'],
    [2_000, 40, 'proven', 'small'],
    [5_100, 40, 'proven', 'small'],
    [5_101, 40, 'too_slow', null],
    [60_000, 40, 'too_slow', null],
    // What was never measured is not credited, and of what was, 300 ms at most.
    [5_100, null, 'proven', 'small'],
    [5_100, 300, 'proven', 'small'],
  ] as const)('at %d ms, round trip %s: %s', (afterMs, rtt, reason, of) => {
    const { transcript, bytes } = after(afterMs, rtt);
    expect(judge(transcript, bytes)).toMatchObject({ reason, elapsed_ms: afterMs, class: of });
  });

  it.each([
    [5_101, 'proven', null],
    [15_300, 'proven', null],
    [15_301, 'too_slow', null],
  ] as const)('out of turn, under the load of a judge, at %d ms: %s, and of no better class than its rate', (afterMs, reason, of) => {
    const { transcript, bytes } = after(afterMs);
    expect(judge({ ...transcript, scheduled: false }, bytes)).toMatchObject({ reason, elapsed_ms: afterMs, class: of });
  });

  it('credits no more than 300 ms of a round trip', () => {
    const { transcript, bytes } = after(5_101, 9_000);
    expect(judge(transcript, bytes)).toMatchObject({ reason: 'too_slow', elapsed_ms: 5_101 });
  });

  it('begins when the seed was public and sent, whichever was later', () => {
    const { transcript } = good;
    const early = { ...transcript, sent_at: transcript.sent_at - 5_000 };
    expect(judge(early, good.bytes).elapsed_ms).toBe(3_900 + 200);
  });

  it('puts a slow device into the class that its rate is in time for', () => {
    const h100 = MAINNET.classes.find((c) => c.name === 'h100')!;
    const of = (rate: number) => slowerClass(MAINNET, h100, rate)?.name ?? null;
    expect([of(230_000_000), of(100_000_000), of(70_000_000), of(24_000_000), of(1_000_000)]).toEqual([
      'a100',
      'a100',
      'l40s',
      'a5000',
      null,
    ]);
    const twice = ask(agent, 'long', 3);
    const late = play(agent, twice, honest(twice.work), { afterMs: 8_000 });
    expect(judge(late.transcript, late.bytes)).toMatchObject({ reason: 'too_slow', rate: 8, class: 'swift' });
  });
});

describe('what did not come', () => {
  const committed = commit(agent, asked, proof.root, 3_900);
  it.each<[string, Transcript, keyof typeof VERDICTS]>([
    ['declined', { ...asked.transcript, end: 'declined', declined: 'no prover for gpu' }, 'unproven'],
    ['no commit', { ...asked.transcript, end: 'no_commit' }, 'no_commit'],
    ['no opening', { ...committed, end: 'no_opening' }, 'no_opening'],
    ['gone before the seed', { ...asked.transcript, sent_at: 0, end: 'disconnected' }, 'disconnected'],
    ['gone after the seed', { ...asked.transcript, end: 'disconnected' }, 'no_commit'],
    ['gone after the commit', { ...committed, end: 'disconnected' }, 'no_opening'],
    ['no pulse', { ...asked.transcript, end: 'no_pulse' }, 'no_pulse'],
  ])('%s', (_, transcript, reason) => {
    expect(judge(transcript, null)).toMatchObject({ reason, elapsed_ms: null, rate: null, class: null });
  });
});

describe('what the edge wrote wrongly is never held against the miner', () => {
  const t = good.transcript;
  it.each<[string, Partial<Transcript>]>([
    ['another id', { id: 'chl_other' }],
    ['another target', { target: `${t.agent}/gpu1` }],
    ['another slot', { slot: t.slot + 10 }],
    ['a round that was out when it was drawn', { round: t.round - 3 }],
    ['a seed that was sent long after its round', { sent_at: t.sent_at + 60_000 }],
    ['another class', { class: 'swift' }],
    ['fewer steps', { steps: 3 }],
    ['another profile', { profile: 'mm-512' }],
    ['a login of another hotkey', { login: other.login }],
    ['a login that nobody signed', { login: { ...t.login, expires: t.login.expires + 1 } }],
    ['a later sample', { sample: { round: (t.sample?.round ?? 0) + 1, sent_at: 0 } }],
    ['an earlier sample', { sample: { round: (t.sample?.round ?? 0) - 1, sent_at: 0 } }],
    ['no sample', { sample: null }],
    ['no commit', { commit: null }],
    ['another hash', { opening: { ...t.opening!, sha256: '00'.repeat(32) } }],
    ['another length', { opening: { ...t.opening!, bytes: 1 } }],
    ['no opening', { opening: null }],
  ])('%s', (_, change) => {
    const { reason } = judged(change);
    expect([reason, VERDICTS[reason].outcome]).toEqual(['bad_record', 'void']);
  });

  it('the opening is missing', () => {
    expect(judge(t, null).reason).toBe('bad_record');
  });
});

describe('what the miner did', () => {
  const t = good.transcript;
  const opening = proof.open(pulse(t.sample?.round ?? 0).randomness);
  it.each<[string, Transcript, keyof typeof VERDICTS]>([
    ['a commit under another key', play({ ...agent, sign: other.sign }, asked, proof).transcript, 'wrong_signature'],
    ['a commit to another root under its signature', { ...t, commit: { ...t.commit!, root: '00'.repeat(32) } }, 'wrong_signature'],
    ['a signature that is no point', { ...t, commit: { ...t.commit!, signature: 'ff'.repeat(64) } }, 'wrong_signature'],
    ['a round before its seed', opened(commit(agent, asked, proof.root, 3_900, { seen: t.round - 1 }), opening), 'back_dated'],
    ['a round that was not out', opened(commit(agent, asked, proof.root, 3_900, { seen: t.round + 4 }), opening), 'back_dated'],
  ])('%s', (_, transcript, reason) => {
    expect(VERDICTS[reason].outcome).toBe('hard');
    expect(judge(transcript, good.bytes).reason).toBe(reason);
  });

  it('names the first sample that is wrong, what is due and what was given', () => {
    const strange = { ...proof, open: (randomness: string) => honest(ask(other, 'small', 1).work).open(randomness) };
    const { transcript, bytes } = play(agent, asked, strange);
    const verdict = judge(transcript, bytes);
    expect(verdict).toMatchObject({ reason: 'wrong_root', wrong: { at: 'digests', due: proof.root } });
    expect(verdictSchema.parse(verdict)).toEqual(verdict);
  });
});

describe('logins', () => {
  it('are the same with 0x before the signature, and none at all where it is no point', () => {
    const strict = new Logins((text, signature, hotkey) => {
      if (!/^[0-9a-f]{128}$/.test(signature)) throw new Error('no hex');
      return verifyHotkey(text, signature, hotkey);
    });
    const { signature } = agent.login;
    expect(strict.signed({ ...agent.login, signature: `0x${signature}` })).toBe(true);
    expect(strict.signed({ ...agent.login, signature: 'no signature' })).toBe(false);
    expect(judged({ login: { ...agent.login, signature: `0x${signature}` } }).reason).toBe('proven');
  });

  it('are checked once each, and only so many are remembered', () => {
    let checks = 0;
    const logins = new Logins((text, signature, hotkey) => {
      checks += 1;
      return checks === 1 && verifyHotkey(text, signature, hotkey);
    });
    expect([logins.signed(agent.login), logins.signed(agent.login), checks]).toEqual([true, true, 1]);
    for (let n = 0; n < 5_000; n++) logins.signed({ ...agent.login, expires: n + 1 });
    expect([logins.size, logins.signed(agent.login)]).toEqual([4_096, false]);
  });
});

it('a seed is of one challenge, miner, target and round', () => {
  const seeds = (['id', 'hotkey', 'target', 'randomness'] as const).map((field) =>
    challengeSeed({ ...good.transcript, randomness: pulse(1).randomness, [field]: 'another' }),
  );
  expect(new Set([...seeds, challengeSeed({ ...good.transcript, randomness: pulse(1).randomness })]).size).toBe(5);
});
