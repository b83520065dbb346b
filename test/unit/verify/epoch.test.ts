/** `ripcord-verify epoch` against a made-up network: real signatures, pulses, proofs and files, by HTTP. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DEVELOPMENT } from '#protocol/challenge/index.ts';
import { run } from '../../../validator-cron/verify/program.ts';
import type { Report } from '../../../validator-cron/verify/report.ts';
import { honest, zeros } from '../../harness/epoch/prover.ts';
import { makeEpoch, publishEpoch, type Made, type Published, type Stage, type StagedMiner } from '../../harness/epoch/stage.ts';

const CPU = { kind: 'cpu', name: 'a cpu', memoryMb: 1024 } as const;
const START = 1_790_000_040;
const MINERS: StagedMiner[] = [
  { devices: 1, device: CPU, prover: honest },
  { devices: 2, device: CPU, prover: zeros },
  { devices: 1, device: { kind: 'gpu', name: 'NVIDIA H100', memoryMb: 81_920 }, prover: null },
];

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let folder: string;
let made: Made;
const stages: Stage[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ripcord-verify-'));
  made = await makeEpoch({ suite: DEVELOPMENT, start: START, seconds: 60, miners: MINERS });
});
afterAll(async () => {
  await Promise.all(stages.map((stage) => stage.close()));
  await rm(folder, { recursive: true, force: true });
});

async function stage(tamper?: (files: Published) => void): Promise<Stage> {
  const published = await publishEpoch(made, tamper);
  stages.push(published);
  return published;
}

function verify(of: Stage, ...more: string[]): Promise<{ code: number; out: string; err: string }> {
  return ran(of, 'epoch', String(of.epoch), '--threads', '1', ...more);
}

async function ran(of: Stage, ...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const terminal = {
    out: (text: string) => void (said.out += text),
    err: (text: string) => void (said.err += text),
    watched: false,
    coloured: false,
    env: {},
    signal: new AbortController().signal,
  };
  return {
    code: await run([...argv, '--api', of.api, ...(argv.includes('--cache') ? [] : ['--cache', join(folder, 'cache')])], terminal),
    ...said,
  };
}

describe('an epoch as it should be', () => {
  let whole: Stage;
  beforeAll(async () => {
    whole = await stage();
  });

  test('is identical: verdicts, summary, weights; the cheat has none', async () => {
    const { code, out, err } = await verify(whole, '--json');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const report = JSON.parse(out) as Report;
    expect(report).toMatchObject({ outcome: 'identical', difference: null, gate: true, pulses: { verified: true } });
    expect(report.verdicts.judged).toBe(whole.transcripts);
    expect(Object.keys(report.verdicts.outcomes).toSorted()).toEqual(['hard', 'pass', 'soft']);
    expect((await readdir(join(folder, 'cache', 'files'))).length).toBeGreaterThan(1);
    // uid 1 is honest, 2 gave zeros, 3 cannot prove: only the first and the burn have weights.
    expect(whole.assembled.weights.uids).not.toContain(2);
    expect(whole.assembled.weights.uids).toContain(1);
  });

  test('a judge that committed to nothing', async () => {
    const { code, err } = await verify(whole, '--judge', '5EsNLFaGe9XK5LzWH3i6eC2Wqv6YqZS1442N1C4yeSdP6uxy');
    expect(code).toBe(3);
    expect(err).toContain('No such judge has committed');
  });
});

test('one challenge judged again; what a miner wrote moves no cursor', async () => {
  let id = '';
  const told = await stage(({ lines }) => {
    for (const line of lines)
      if (line.t === 'transcript' && line.end === 'declined') ({ id } = Object.assign(line, { declined: 'no \u001b[2J\u009b2Jway' }));
  });
  const { code, out, err } = await ran(told, 'transcript', id);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toContain('ended      declined: no [2J2Jway\n');
  expect(out).toContain('verdict    soft: unproven.');
});

describe('one number that does not follow', () => {
  const cases: [string, (files: Published) => void, number, RegExp][] = [
    [
      'a cheat is called proven',
      ({ verdicts }) => {
        for (const v of verdicts) if (v.reason === 'wrong_leaf') Object.assign(v, { reason: 'proven', wrong: null });
      },
      1,
      /different at verdict chl_[0-9a-f]+\.reason\n?/,
    ],
    [
      'weights of another mind',
      (files) => {
        files.weights = { uids: [2], values: [65_535] };
      },
      1,
      /different at weights/,
    ],
    [
      'an opening is not published',
      ({ openings }) => {
        openings.delete([...openings.keys()].at(0) ?? '');
      },
      3,
      /evidence missing: What was opened of chl_/,
    ],
    [
      'an opening is another one',
      ({ openings }) => {
        const bytes = openings.values().next().value;
        if (bytes !== undefined) bytes[0] = (bytes[0] ?? 0) ^ 1;
      },
      3,
      /is not what its hash names/,
    ],
    [
      'one of the tests that were due is left out',
      (files) => {
        const last = files.lines.findLast((line) => line.t === 'transcript' && line.slot > START + 10 && line.slot < START + 50);
        files.lines = files.lines.filter((line) => line !== last);
      },
      3,
      /was due in slot \d+, others were tested then, and it has no transcript/,
    ],
  ];

  test.each(cases)('%s', async (_, tamper, expected, words) => {
    const fresh = join(folder, `tampered-${stages.length}`);
    const { code, out, err } = await verify(await stage(tamper), '--trust-beacon', ...(expected === 3 ? ['--cache', fresh] : []));
    expect(`${code} ${out}${err}`).toMatch(words);
    expect(code).toBe(expected);
  });
});
