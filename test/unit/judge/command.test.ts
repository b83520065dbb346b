/** `ripcord-validator` at the door: what it says of wrong use, and what it never says. */
import { expect, test } from 'vitest';
import { makeBench } from '../../../validator-cron/bench.ts';
import { run } from '../../../validator-cron/commands/program.ts';
import { reachOf, readSettings } from '../../../validator-cron/commands/settings.ts';
import { showStatus, statusOf, type Status } from '../../../validator-cron/commands/status.ts';
import { lineOf } from '../../../validator-cron/commands/worker.ts';
import { BEACON } from './stand-in-beacon.ts';
import { json, StandInEdge } from './stand-in-edge.ts';

const SEED = 'ab'.repeat(32);
const GOOD = { API_ORIGIN: 'http://127.0.0.1:1', JUDGE_SEED: SEED };

async function ripcordValidator(argv: string[], env: Record<string, string>) {
  const said = { out: '', err: '' };
  const code = await run(argv, {
    out: (text) => (said.out += text),
    err: (text) => (said.err += text),
    coloured: false,
    env,
    signal: new AbortController().signal,
  });
  return { code, ...said };
}

test.for<{ what: string; argv: string[]; env?: Record<string, string>; code: number; says: string }>([
  { what: 'help', argv: ['--help'], code: 0, says: 'JUDGE_SEED' },
  { what: 'an unknown flag', argv: ['status', '--fast'], code: 2, says: "unknown option '--fast'" },
  { what: 'no origin', argv: ['status'], env: { JUDGE_SEED: SEED }, code: 2, says: 'API_ORIGIN must be an http(s) origin.' },
  {
    what: 'a seed that is none',
    argv: ['once'],
    env: { ...GOOD, JUDGE_SEED: SEED.slice(1) },
    code: 2,
    says: 'JUDGE_SEED must be 64 hex digits.',
  },
  { what: 'a chain without its subnet', argv: ['status'], env: { ...GOOD, CHAIN_URL: 'http://x.test' }, code: 2, says: 'NETUID must be' },
  { what: 'an edge that is away', argv: ['status', '--json'], env: GOOD, code: 3, says: '"code":"edge"' },
])('$what', async ({ argv, env = GOOD, code, says }) => {
  const ran = await ripcordValidator(argv, env);
  expect(ran.code).toBe(code);
  expect(ran.out + ran.err).toContain(says);
  expect(ran.out + ran.err).not.toContain(SEED.slice(1));
});

test('a beacon that is away is named, and how to name another', async () => {
  await using edge = await StandInEdge.start();
  const { config } = readSettings({ ...GOOD, API_ORIGIN: edge.origin, NETWORK: 'development', BEACON_URLS: 'http://127.0.0.1:1' });
  const bench = makeBench(config, null, new AbortController().signal);
  await expect(statusOf(bench, 1_795_000_000_000)).rejects.toMatchObject({ code: 'beacon', exit: 3 });
});

test('a tick for people: an epoch that waits for verdicts is none that was committed', () => {
  const report = (...states: string[]) => ({
    challenges: null,
    verdicts: { judged: 0, left: 22 },
    calls: null,
    epochs: { closed: states.map((state) => ({ state })), weights: null },
    failures: [{ part: 'calls', reason: 'x \u001b[2Janswered 403' }],
  });
  const plain = (_: string, text: string) => text;
  expect(lineOf(report('committed', 'unjudged'), plain)).toContain(
    'epochs      1 committed, one waits for verdicts\ncalls       failed: x [2Janswered',
  );
  expect(lineOf(report(), plain)).toContain('epochs      0 committed\n');
});

test('a Worker reaches the network of a house only where a setting names it', () => {
  expect(reachOf({ API_ORIGIN: 'https://api.test' })).toEqual(['public', 'local']);
  expect(reachOf({ API_ORIGIN: 'https://api.test', CHAIN_URL: 'https://a.test, http://192.168.1.4:9944' })).toContain('private');
});

test('an edge without epochs or challenges has its status; one that breaks is told', async () => {
  await using edge = await StandInEdge.start();
  const { config } = readSettings({ ...GOOD, API_ORIGIN: edge.origin, NETWORK: 'development', EPOCH_SECONDS: '60' });
  const bench = { ...makeBench(config, null, new AbortController().signal), beacon: BEACON };
  expect(await statusOf(bench, 1_790_000_045_000)).toMatchObject({
    epoch: { newest: null, committed: false, next_ends: 1_790_000_100, ends_in_seconds: 55 },
    coverage: { slots: 20, due: 0, recorded: 0, judged: 0, missing: [] },
  });
  edge.broken.set('/audit/targets', (reply) => json(reply, 503, {}));
  await expect(statusOf(bench, 1_790_000_045_000)).rejects.toMatchObject({ code: 'edge', exit: 3 });
});

const STATUS: Status = {
  judge: '5J',
  chain: { netuid: 3, block: 1_000, uid: 7, permit: true, stake: '12345678901', last_weights: { block: 900, ago: 100 } },
  epoch: { newest: 3_600, committed: true, block: 950, next_ends: 7_200, ends_in_seconds: 40 },
  coverage: { slots: 20, due: 4, recorded: 3, judged: 3, missing: ['chl_1'] },
};

test.for<[string, Partial<Status>, string]>([
  ['who stands well', {}, 'uid 7 of subnet 3, permit, stake 12.345 τ, block 1000'],
  ['its weights', {}, 'set in block 900, 100 blocks ago'],
  ['what is missing', {}, 'missing    chl_1'],
  ['no permit', { chain: { ...STATUS.chain!, permit: false } }, 'no permit: it needs more stake'],
  ['nobody there', { chain: { ...STATUS.chain!, uid: null } }, 'not registered on subnet 3: btcli subnet register --netuid 3'],
  ['no chain', { chain: null }, 'set CHAIN_URL and NETUID'],
])('status for people: %s', ([, of, says]) => {
  expect(showStatus({ ...STATUS, ...of }, (_, text) => text)).toContain(says);
});
