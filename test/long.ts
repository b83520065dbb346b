/**
 * `npm run test:long -- [--only NAME] [--seed N]`: the counts that `npm test` has no time for, one JSON line of figures
 * per proof, at most 90 minutes in all. Exits 1 if any proof fails.
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { measureVerifier, missed } from './bench/proofs/proofs.ts';
import { canaryFigures } from './cheats/canaries.ts';
import { countCheats, countHonest } from './cheats/count.ts';
import { interferenceFigures } from './cheats/interference.ts';
import { bank } from './network/bank/bank.ts';
import { outage } from './network/bank/outage.ts';
import { injustice, judged } from './network/judged/judged.ts';
import { storm } from './network/storm/storm.ts';

const { values } = parseArgs({ options: { only: { type: 'string' }, seed: { type: 'string', default: '1000000' } } });
const seed = Number(values.seed);

/** Runs of the simulator per process; two processes, 15 to 19 ms a run. */
const SIM_RUNS = 30_000;
/** Random worlds of four epochs on each network that are scored a second time in SQL. */
const TWINS = 400;
/** Submits of one Idempotency-Key. */
const DUPLICATES = 1_000;
/** How often each fault of the whole network is repeated. */
const FAULT_ROUNDS = 4;
/** Sockets of light agents that a full restart of the edge cuts, and agents that look at the market. */
const STORM = { agents: 2_000, pollers: 10_000, pollMs: 30_000 };
/** Markets in which every bound holds with room to spare, by seed and fill; `docs/strategy.md` names others that miss one. */
const MARKET_SIZE = ['--agents', '100', '--chutes', '250'];
const MARKETS = [
  ['1', '0.33'],
  ['3', '0.33'],
  ['2', '0.38'],
] as const;
/** Challenges that each cheat plays, and that an honest agent of the smallest size does. */
const CHALLENGES = { cheats: 200, honest: 10_000 };
/** Wald's test alone, and whole comparisons of each kind of suspect. */
const CANARIES = { decisions: 400_000, sessions: 1_000 };
/** Instances of each kind that are put under load, up to three times each. */
const LOADED = 10_000;
/** Milliseconds in which an hour of 256 miners is judged again on two threads, its download apart. */
const REPLAY_MS = 60_000;
/** Paid calls of the bank test. */
const BANK_CALLS = 1_000_000;

interface Outcome {
  ok: boolean;
  figures: Record<string, unknown>;
}

const proofs: Record<string, () => Promise<Outcome>> = {
  async simulator() {
    const parts = await Promise.all([simulate(seed, SIM_RUNS), simulate(seed + SIM_RUNS, SIM_RUNS)]);
    const failed = parts.find((p) => p['failure'] !== null);
    const sum = (field: string) => parts.reduce((n, p) => n + Number(p[field]), 0);
    return { ok: failed === undefined, figures: { runs: sum('runs'), calls: sum('calls'), failure: failed?.['failure'] ?? null } };
  },
  async bank() {
    const say = (line: string): void => console.error(line);
    const figures = await bank({ calls: BANK_CALLS, accounts: 1_000, clients: 32, seed, kills: 20, evictions: 400, say });
    const { recomputed, charged, differing, ...rest } = figures;
    const whole = charged === recomputed && differing.length === 0 && rest.broken.length === 0 && Object.keys(rest.failed).length === 0;
    return {
      ok: whole,
      figures: { ...rest, charged: String(charged), difference: String(charged - recomputed), differing: differing.length },
    };
  },
  async ledger() {
    const { code, output } = await run(['test/network/books/bank.ts', '--operations', '30000', '--kills', '10']);
    return { ok: code === 0, figures: JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as Record<string, unknown> };
  },
  async outage() {
    const figures = await outage({ accounts: 100, perSecond: 100, seconds: 300, seed });
    return { ok: figures.failed <= figures.calls / 1_000 && figures.broken.length === 0, figures: { ...figures } };
  },
  async storm() {
    const figures = await storm(STORM);
    const { agents, grants, back, polls } = figures;
    return { ok: grants === 1 && back === agents && polls.failed === 0, figures: { ...figures } };
  },
  async faults() {
    let rounds = 0;
    while (rounds < FAULT_ROUNDS) {
      const { code } = await run([
        'node_modules/.bin/vitest',
        'run',
        '--project',
        'network',
        'test/network/faults.test.ts',
        'test/network/miner.test.ts',
      ]);
      if (code !== 0) return { ok: false, figures: { rounds } };
      rounds += 1;
    }
    return { ok: true, figures: { rounds } };
  },
  async market() {
    const markets: { ok: boolean; figures: unknown }[] = [];
    for (const [of, fill] of MARKETS) {
      const { code, output } = await run(['test/market/run.ts', ...MARKET_SIZE, '--seed', of, '--fill', fill, '--json']);
      markets.push({ ok: code === 0, figures: JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as unknown });
    }
    return { ok: markets.every((m) => m.ok), figures: { markets: markets.map((m) => m.figures) } };
  },
  async proofs() {
    const honest = countHonest(CHALLENGES.honest);
    const cheats = countCheats(CHALLENGES.cheats);
    const caught = cheats.every(({ passed, most }) => passed <= most);
    const rows = cheats.map(({ name, challenges, passed, reasons }) => ({ name, challenges, passed, reasons }));
    return { ok: caught && honest.passed === honest.challenges, figures: { honest: honest.reasons, cheats: rows } };
  },
  async verifier() {
    const figures = await measureVerifier(20);
    return { ok: !missed(figures), figures: { figures } };
  },
  /** Canaries: how often they are wrong about honest miners, and how often they find another model. */
  async canaries() {
    const figures = await canaryFigures(CANARIES, seed);
    const { decisions, sessions } = figures;
    const bounded =
      decisions.same.other <= CANARIES.decisions / 5_000 && decisions.other.same + decisions.other.undecided <= CANARIES.decisions / 80;
    const right = sessions.honest.swapped === 0 && [sessions.other_model, sessions.coarser_weights].every((s) => s.swapped === s.sessions);
    return { ok: bounded && right, figures: { ...figures } };
  },
  /** Trials of answers beside proofs, on a model of devices that nobody has calibrated. */
  async interfere() {
    const figures = interferenceFigures(LOADED, seed);
    const { honest, reseller, busy_reseller: busy } = figures;
    return { ok: honest.faults <= LOADED / 1_000 && reseller.faults === LOADED && busy.faults === LOADED, figures: { ...figures } };
  },
  async replay() {
    const { code, output } = await run(['test/harness/epoch/replay.ts', '--miners', '256']);
    const figures = JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as Record<string, unknown>;
    return { ok: code === 0 && figures['outcome'] === 'identical' && Number(figures['allButDownloadMs']) < REPLAY_MS, figures };
  },
  async economy() {
    const { code, output } = await run(['test/economy/run.ts', '--json']);
    return { ok: code === 0, figures: JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as Record<string, unknown> };
  },
  async twin() {
    const { code } = await run(['node_modules/.bin/vitest', 'run', '--project', 'together', 'test/network/twin'], {
      RIPCORD_TWINS: String(TWINS),
    });
    return { ok: code === 0, figures: { worlds: 2 * TWINS } };
  },
  /** A whole network for three epochs that pay: weights, what the chain made of them, and calls per miner before and after. */
  async judged() {
    const came = await judged({ characters: ['honest', 'slow', 'honest', 'lazy', 'replayer'], epochs: 3, epochSeconds: 60 });
    return { ok: injustice(came).length === 0, figures: { ...came, epochs: came.epochs.map((e) => e.epoch), unjust: injustice(came) } };
  },
  async idempotency() {
    const args = ['node_modules/.bin/vitest', 'run', '--project', 'together', 'test/network/idempotency.test.ts'];
    const { code } = await run(args, { RIPCORD_DUPLICATES: String(DUPLICATES) });
    return { ok: code === 0, figures: { duplicates: DUPLICATES } };
  },
};

async function simulate(from: number, runs: number): Promise<Record<string, unknown>> {
  const { output } = await run(['test/sim/run.ts', '--from', String(from), '--runs', String(runs), '--json']);
  const result = JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as Record<string, unknown>;
  return { failure: 'no result', runs: 0, calls: 0, ...result };
}

function run(args: string[], env: Record<string, string> = {}): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

if (values.only !== undefined && proofs[values.only] === undefined) {
  console.error(`There is no proof ${values.only}; there are ${Object.keys(proofs).join(', ')}.`);
  process.exit(2);
}
for (const [name, prove] of Object.entries(proofs)) {
  if (values.only !== undefined && values.only !== name) continue;
  const started = performance.now();
  const { ok, figures } = await prove();
  console.log(JSON.stringify({ proof: name, ok, seconds: Math.round((performance.now() - started) / 1000), ...figures }));
  if (!ok) process.exitCode = 1;
}
