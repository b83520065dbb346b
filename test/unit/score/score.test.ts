/** The properties of shares: P1 to P8, P11 and P12 of the scoring page. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MinerSummary, Summary } from '#protocol/epoch.ts';
import { FULL, SCORING, SHARE, type Scoring } from '../../../validator-cron/score/parameters.ts';
import { scoreWindow } from '../../../validator-cron/score/score.ts';
import { summarise } from '../../../validator-cron/score/summarise.ts';
import { weigh } from '../../../validator-cron/score/weigh.ts';
import { chain, HOUR, input, key, line, lines, presence, START, served, summary, trial, use, worlds, ZEROS } from './made.ts';

const scoring = SCORING.mainnet;
const windows = fc.array(lines, { minLength: 1, maxLength: 3 }).map((all) => all.map((miners, i) => summary(miners, START + i * HOUR)));

const scoresOf = (miners: readonly MinerSummary[], of: Scoring = scoring) => scoreWindow([summary(miners)], of);
const shareOf = (miners: readonly MinerSummary[], ...names: string[]): number =>
  scoresOf(miners)
    .filter((s) => names.some((name) => s.hotkey === key(name)))
    .reduce((sum, s) => sum + s.share, 0);

/** The field that a miner is measured against. */
const others = [line('other1'), line('other2', { proven: String(5_000_000 * HOUR), use: '900000000000' })];

test('P1: order and repetition of miners and summaries change nothing', () => {
  fc.assert(
    fc.property(
      windows.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
      ([all, shuffled]) => {
        const turned = [...shuffled, ...shuffled].map((s) => ({ ...s, miners: s.miners.toReversed() }));
        expect(scoreWindow(turned, scoring)).toEqual(scoreWindow(all, scoring));
      },
    ),
  );
});

describe('P2: splitting up', () => {
  test('under one coldkey, in any way, gains nothing', () => {
    fc.assert(
      fc.property(lines, fc.integer({ min: 2, max: 4 }), (all, k) => {
        const [first, ...field] = all;
        if (first === undefined) return;
        const whole = { ...first, entity: key('whole') };
        const names = Array.from({ length: k }, (_, i) => `split${i}`);
        const pieces = split(whole, k).map((piece, i) => ({ ...piece, hotkey: key(names[i] ?? '') }));
        const before = scoresOf([...field, whole]).find((s) => s.hotkey === whole.hotkey)?.share ?? 0;
        expect(shareOf([...field, ...pieces], ...names)).toBeLessThanOrEqual(before);
      }),
    );
  });

  test('leaves no hotkey better than the entity as a whole', () => {
    const bad = line('bad', { entity: key('cold'), tests_ok: 100 });
    const good = line('good', { entity: key('cold') });
    const [alone, both] = [scoresOf([good]), scoresOf([bad, good])];
    const qualities = new Map(both.map((s) => [s.hotkey, s.quality]));
    expect(alone[0]?.quality).toBe(FULL);
    expect(qualities.get(key('good'))).toBeLessThan(FULL);
    expect(qualities.get(key('bad'))).toBeLessThan(qualities.get(key('good')) ?? 0);
  });

  test('over coldkeys, into equal parts, gains at most a thousandth', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.nat({ max: 300 }), fc.nat({ max: 300 }), (k, ok, failed) => {
        const of = (parts: number) => ({
          proven: String(350_000 * HOUR * parts),
          use: String(60_000_000_000 * parts),
          tests: (ok + failed) * parts,
          tests_ok: ok * parts,
        });
        const names = Array.from({ length: k }, (_, i) => `part${i}`);
        const parts = names.map((name) => line(name, of(1)));
        expect(shareOf([...others, ...parts], ...names)).toBeLessThanOrEqual(
          shareOf([...others, line('whole', of(k))], 'whole') * 1.001 + k,
        );
      }),
    );
  });
});

test('P3: merging two miners, whatever they are, gains nothing', () => {
  fc.assert(
    fc.property(lines, lines, (a, b) => {
      const [one, two] = [a[0], b[0]];
      if (one === undefined || two === undefined) return;
      const apart = [
        { ...one, hotkey: key('one'), entity: key('one') },
        { ...two, hotkey: key('two'), entity: key('two') },
      ];
      const merged = apart.map((m) => ({ ...m, entity: key('both') }));
      expect(shareOf([...others, ...merged], 'one', 'two')).toBeLessThanOrEqual(shareOf([...others, ...apart], 'one', 'two'));
    }),
  );
});

describe('P4: more of the good never pays less, more of the bad never more', () => {
  const share = (of: Partial<MinerSummary>) => shareOf([...others, line('miner', of)], 'miner');
  const count = fc.nat({ max: 2_000 });

  test('seconds, use', () => {
    const big = fc.bigInt({ min: 0n, max: 10n ** 14n });
    fc.assert(
      fc.property(big, big, fc.constantFrom('proven', 'use'), (value, more, field) => {
        expect(share({ [field]: String(value + more) })).toBeGreaterThanOrEqual(share({ [field]: String(value) }));
      }),
    );
  });

  test('tests and calls that went well or did not', () => {
    fc.assert(
      fc.property(count, count, fc.constantFrom('tests', 'calls'), (ok, failed, field) => {
        const of = (good: number, bad: number) => share({ [field]: good + bad, [`${field}_ok`]: good });
        expect(of(ok + 1, failed)).toBeGreaterThanOrEqual(of(ok, failed));
        expect(of(ok, failed + 1)).toBeLessThanOrEqual(of(ok, failed));
      }),
    );
  });

  test('latency', () => {
    fc.assert(
      fc.property(fc.nat({ max: FULL }), fc.nat({ max: FULL }), (a, b) => {
        expect(share({ latency: Math.max(a, b) })).toBeGreaterThanOrEqual(share({ latency: Math.min(a, b) }));
      }),
    );
  });

  test('in the files of an epoch', () => {
    const of = (completed: number, failed: number, pings: number, ms: number) => {
      const calls = [
        {
          t: 'calls' as const,
          hotkey: key('miner'),
          canaries: 3,
          canaries_ok: 3,
          pings: 60,
          pings_ok: pings,
          first_byte_ms: ms,
          rtt_ms: ms,
          swapped: [],
        },
      ];
      const made = summarise(input({ served: [served('miner', completed, failed)], calls })).miners.map((m) => ({
        ...m,
        proven: line('miner').proven,
      }));
      return shareOf([...others, ...made], 'miner');
    };
    fc.assert(
      fc.property(count, count, fc.nat({ max: 59 }), fc.nat({ max: 20_000 }), (completed, failed, pings, ms) => {
        const base = of(completed, failed, pings, ms);
        expect(of(completed + 1, failed, pings, ms)).toBeGreaterThanOrEqual(base);
        expect(of(completed, failed + 1, pings, ms)).toBeLessThanOrEqual(base);
        expect(of(completed, failed, pings + 1, ms)).toBeGreaterThanOrEqual(base);
        expect(of(completed, failed, pings, ms + 100)).toBeLessThanOrEqual(base);
      }),
    );
  });
});

test('P5: one payer moves no share by more than 2 %', () => {
  const hotkeys = ['alice', 'bob', 'carol', 'dave'];
  const bill = fc.record({
    chute: fc.constantFrom('c1', 'c2'),
    payer: fc.nat({ max: 12 }),
    hotkey: fc.constantFrom(...hotkeys),
    usd: fc.nat({ max: 2_000 }),
  });
  fc.assert(
    fc.property(fc.array(bill, { maxLength: 60 }), fc.integer({ min: 0, max: 12 }), (bills, payer) => {
      const shares = (all: typeof bills) => {
        const uses = all.map((b) => use(b.hotkey, `p${b.payer}`, b.usd, { chute: b.chute }));
        const made = summarise(input({ uses, presence: hotkeys.map((h) => presence(h, `${h}/1`)) }));
        const miners = made.miners.map((m) => ({ ...m, proven: line('x').proven, tests: 200, tests_ok: 200, latency: FULL, timed: 1 }));
        // A window of one epoch: what an epoch moves is not watered down by the others.
        return scoresOf(miners, { ...scoring, window: 1 }).map((s) => s.share);
      };
      const [all, without] = [shares(bills), shares(bills.filter((b) => b.payer !== payer))];
      for (const [i, share] of all.entries()) expect(Math.abs(share - (without[i] ?? 0))).toBeLessThanOrEqual(SHARE / 50);
    }),
  );
});

describe('P6: what calls bring is at most the fee on them', () => {
  test('for anyone, with any use', () => {
    fc.assert(
      fc.property(lines, (all) => {
        for (const s of scoresOf(all)) {
          const used = BigInt(all.find((m) => m.hotkey === s.hotkey)?.use ?? 0);
          const emission = (BigInt(scoring.emissionPerHour) * BigInt(scoring.window) * BigInt(s.use)) / BigInt(SHARE);
          expect(emission * 1000n).toBeLessThanOrEqual(used * BigInt(scoring.fee));
        }
      }),
    );
  });

  test('linked use counts nothing; that of one payer up to its bound, over all chutes and miners', () => {
    const counted = (uses: ReturnType<typeof use>[]) => summarise(input({ uses })).miners.map((m) => m.use);
    expect(counted([use('alice', 'p1', 1, { linked: true })])).toEqual([]);
    expect(counted([use('alice', 'p1', 1), use('bob', 'p2', 2)])).toEqual(['1000000000', '2000000000']);
    // 2 % of the 6,000 USD whose tenth is the part of 2,000 USD that is not for capacity.
    expect(counted([use('alice', 'p1', 300, { chute: 'c1' }), use('bob', 'p1', 100, { chute: 'c2' })])).toEqual([
      '90000000000',
      '30000000000',
    ]);
    expect(counted([use('alice', 'p1', 300), use('alice', 'p2', 1)])).toEqual(['121000000000']);
  });
});

describe('P7: dropping work', () => {
  const share = (completed: number, failed: number) => {
    const made = summarise(input({ served: [served('miner', completed, failed)] })).miners.map((m) => ({
      ...line('miner'),
      calls: m.calls,
      calls_ok: m.calls_ok,
    }));
    return shareOf([...others, ...made], 'miner');
  };

  test('a part of it at random costs at least nine tenths of that part', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), fc.nat({ max: 1000 }), (all, permille) => {
        const dropped = Math.floor((all * permille) / 1000);
        expect(share(all - dropped, dropped)).toBeLessThanOrEqual(share(all, 0) * (1 - (0.9 * dropped) / all));
      }),
    );
  });

  test('only what is hard, which might have failed anyway, never gains', () => {
    fc.assert(
      fc.property(fc.nat({ max: 3_000 }), fc.nat({ max: 3_000 }), fc.nat({ max: 3_000 }), (easy, hardDone, hardFailed) => {
        expect(share(easy, hardDone + hardFailed)).toBeLessThanOrEqual(share(easy + hardDone, hardFailed));
      }),
    );
  });
});

test('P8: whole numbers; shares sum up to no more than all, weights to exactly 65,535', () => {
  fc.assert(
    fc.property(windows, fc.uniqueArray(fc.nat({ max: 400 }), { minLength: 1, maxLength: 32 }), (all, uids) => {
      const scores = scoreWindow(all, scoring);
      for (const s of scores)
        for (const value of Object.values(s)) if (typeof value === 'number') expect(Number.isSafeInteger(value) && value >= 0).toBe(true);
      expect(scores.reduce((sum, s) => sum + s.share, 0)).toBeLessThanOrEqual(SHARE);
      const names = [...new Set(scores.map((s) => s.hotkey))];
      const neurons = uids.map((uid, i) => ({ uid, hotkey: names[i] ?? key(`more${i}`) }));
      const weights = weigh(scores, neurons, scoring);
      const sum = weights.values.reduce((a, b) => a + b, 0);
      const earned = uids.includes(scoring.burnUid) || scores.some((s) => s.share > 0 && neurons.some((n) => n.hotkey === s.hotkey));
      expect(sum).toBe(earned ? 65_535 : 0);
      expect(weights.uids).toEqual(weights.uids.toSorted((a, b) => a - b));
      expect(weights.values.every((v) => v >= 1)).toBe(true);
    }),
  );
});

test('P10: order and repetition of lines, and verdicts on nothing, change nothing', () => {
  fc.assert(
    fc.property(worlds(2), fc.integer(), (epochs, seed) => {
      const turned = epochs.map((e) => ({
        ...e,
        presence: shuffled(e.presence, seed),
        uses: shuffled(e.uses, seed),
        served: shuffled(e.served, seed),
        transcripts: shuffled(e.transcripts, seed),
        verdicts: [...shuffled(e.verdicts, seed), { id: 'chl_late', reason: 'wrong_leaf' as const, rate: null }],
        calls: shuffled(e.calls, seed),
        neurons: shuffled(e.neurons, seed),
      }));
      expect(chain(turned)).toEqual(chain(epochs));
    }),
    { numRuns: 50 },
  );
});

test('P11: a clock that is off by a minute moves a share by at most a thousandth of it', () => {
  const epochs = 24;
  const devices = ['alice', 'bob', 'carol'];
  const shares = (skewed: boolean) => {
    const flash = (slot: number) =>
      devices.flatMap((d) => [
        trial(d, `${d}/1`, { slot, round: slot / 3 }),
        trial(d, `${d}/1`, { slot, round: slot / 3, kind: 'pow.mem', rate: 1 }),
      ]);
    const made = Array.from({ length: epochs }, (_, i) => {
      const start = START + i * HOUR;
      // A minute of the first and the last epoch falls out of the window.
      const lost = skewed && (i === 0 || i === epochs - 1) ? 1 : 0;
      return input({
        head: { epoch: start, seconds: HOUR },
        trials: flash(start + 600),
        presence: devices.map((d, k) => presence(d, `${d}/1`, { slots: (k + 1) * 20 - (k === 0 ? lost : 0) })),
      });
    });
    return scoreWindow(chain(made), scoring).map((s) => s.share);
  };
  const [right, off] = [shares(false), shares(true)];
  for (const [i, share] of right.entries()) {
    expect(share).toBeGreaterThan(0);
    expect(Math.abs(share - (off[i] ?? 0))).toBeLessThanOrEqual(SHARE / 1000);
  }
});

describe('P12: a failed gate is exactly nothing', () => {
  const dirty = (of: Partial<MinerSummary> = {}) => line('cheat', { clean: false, ...of });
  const shares = (...all: Summary[]) => new Map(scoreWindow(all, scoring).map((s) => [s.hotkey, s.share]));

  test('over the window, and not a moment longer', () => {
    const bad = summary([dirty(), line('honest')]);
    const good = (epochs: number) => summary([line('cheat'), line('honest')], START + epochs * HOUR);
    expect(shares(bad, good(167)).get(key('cheat'))).toBe(0);
    expect(shares(bad, good(167)).get(key('honest'))).toBeGreaterThan(0);
    expect(shares(bad, good(168)).get(key('cheat'))).toBeGreaterThan(0);
  });

  test('for all hotkeys of the coldkey, also those that leave it', () => {
    const entity = key('cold');
    const before = summary([dirty({ entity }), line('brother', { entity }), line('honest')]);
    const after = summary([line('brother', { entity: key('new') }), line('late', { entity }), line('honest')], START + HOUR);
    const found = shares(before, after);
    expect([found.get(key('cheat')), found.get(key('brother')), found.get(key('late'))]).toEqual([0, 0, 0]);
    expect(found.get(key('honest'))).toBeGreaterThan(0);
  });

  test('by a hard verdict, and by a model that was swapped', () => {
    const calls = {
      t: 'calls' as const,
      hotkey: key('swap'),
      canaries: 9,
      canaries_ok: 9,
      pings: 0,
      pings_ok: 0,
      first_byte_ms: 1,
      rtt_ms: 1,
      swapped: ['cht_1'],
    };
    const made = summarise(
      input({ trials: [trial('cheat', 'a/1', { reason: 'wrong_leaf' }), trial('slow', 'b/1', { reason: 'too_slow' })], calls: [calls] }),
    );
    expect(made.miners.map((m) => [m.hotkey, m.clean])).toEqual([
      [key('cheat'), false],
      [key('slow'), true],
      [key('swap'), false],
    ]);
  });

  test('in any window', () => {
    fc.assert(
      fc.property(windows, fc.nat(), (all, at) => {
        const [first] = all;
        const cheat = first?.miners[at % first.miners.length];
        if (first === undefined || cheat === undefined) return;
        const scores = scoreWindow(
          [{ ...first, miners: first.miners.map((m) => (m === cheat ? { ...m, clean: false } : m)) }, ...all.slice(1)],
          scoring,
        );
        expect(scores.filter((s) => s.hotkey === cheat.hotkey || s.entity === cheat.entity).every((s) => s.share === 0 && !s.clean)).toBe(
          true,
        );
      }),
    );
  });
});

test('an epoch that is there twice counts once', () => {
  const one = summary([line('miner')]);
  const other = { ...summary([line('miner', { proven: '1' })]), evidence: 'f'.repeat(64) };
  expect(scoreWindow([other, one], scoring)).toEqual(scoreWindow([one], scoring));
  expect(one.evidence).toBe(ZEROS);
});

/** Some pieces that sum up to the whole, as unequal as can be: the first has what is bad, the last what is good. */
function split(whole: MinerSummary, k: number): MinerSummary[] {
  const zero = { proven: '0', use: '0', tests: 0, tests_ok: 0, calls: 0, calls_ok: 0 };
  return Array.from({ length: k }, (_, i): MinerSummary => {
    if (i === 0) return { ...whole, ...zero, tests: whole.tests - whole.tests_ok, calls: whole.calls - whole.calls_ok };
    if (i < k - 1) return { ...whole, ...zero };
    return { ...whole, tests: whole.tests_ok, calls: whole.calls_ok };
  });
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  return (
    fc.sample(fc.shuffledSubarray([...items, ...items.slice(0, 2)], { minLength: items.length + Math.min(2, items.length) }), {
      numRuns: 1,
      seed,
    })[0] ?? []
  );
}
