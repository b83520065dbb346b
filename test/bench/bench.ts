/**
 * `npm run bench`: this path, a bare relay of the same shape and Portkey's gateway, in front of one stub engine,
 * in turns within one run. Prints ratios and the lines of the design; `--json` prints everything as one object.
 *
 *   --quick              at most 2 minutes instead of 10
 *   --only a,b           only these targets (direct is always measured) or cases; `proofs`: what challenges cost
 *   --json               JSON on standard output, the table on standard error
 *   --data DIR           where the network keeps its objects and Postgres; default the folder for temporary files
 *   --before DIR         measure another checkout in the same run (its node_modules may be a link to these)
 *   --origin URL --key K --pids edge=1,agent=2    measure a network that runs already
 */
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cancel } from './cases/cancel.ts';
import { large, parallel, single } from './cases/calls.ts';
import { firstAlone, firstBusy } from './cases/first.ts';
import { heavy, light, wide } from './cases/tokens.ts';
import { chatBody } from './ask.ts';
import { measureIdle, type IdleEdge } from './idle/idle.ts';
import { startEngine, type Case, type Context } from './context.ts';
import { calls, Client, openStream } from './load.ts';
import { flushMs, machine, machineShare } from './measure.ts';
import { lines, lineTable, table, type Samples } from './report.ts';
import { measureProver, measureVerifier, missed, proofTable, type ProofFigure } from './proofs/proofs.ts';
import { startFloor, startFloorEdge } from './targets/floor.ts';
import { startPortkey } from './targets/portkey.ts';
import { attachRipcord, startRipcord, startRipcordEdge } from './targets/ripcord.ts';
import { TARGETS, type Target, type TargetName } from './targets/target.ts';

const IDLE = 'idle';
const PROOFS = 'proofs';
const CASES: Case[] = [single, parallel, light, heavy, wide, firstAlone, firstBusy, cancel, large];

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    data: { type: 'string', default: tmpdir() },
    before: { type: 'string' },
    origin: { type: 'string' },
    key: { type: 'string', default: '' },
    pids: { type: 'string', default: '' },
  },
});

const only = flags.only.split(',').filter((name) => name !== '');
for (const name of only) {
  if (!TARGETS.some((t) => t === name) && name !== IDLE && name !== PROOFS && !CASES.some((c) => c.name === name))
    throw new Error(
      `--only: ${name} is no target (${TARGETS.join(', ')}) and no case (${[...CASES.map((c) => c.name), IDLE, PROOFS].join(', ')})`,
    );
}
const chosen = <T extends string>(all: readonly T[]) =>
  all.some((name) => only.includes(name)) ? all.filter((name) => only.includes(name)) : all;

const say = (text: string) => process.stderr.write(`${text}\n`);
const notes: string[] = [];
const began = Date.now();
const engine = await startEngine();
let run = 0;
const context: Context = {
  engine,
  quick: flags.quick,
  deadline: began + (flags.quick ? 110_000 : 560_000),
  nextRun: () => (run += 1),
  note: (text) => {
    if (!notes.includes(text)) notes.push(text);
  },
};

const starters: Record<TargetName, () => Promise<Target>> = {
  direct: async () => ({
    name: 'direct',
    origin: engine.origin,
    headers: {},
    processes: [],
    concurrency: Number.POSITIVE_INFINITY,
    version: 'stub engine',
    close: async () => {},
  }),
  floor: () => startFloor(engine.origin),
  portkey: () => startPortkey(engine.origin),
  before: async () => {
    const other = (await import(join(resolve(flags.before ?? ''), 'test/bench/targets/ripcord.ts'))) as {
      startRipcord: typeof startRipcord;
    };
    return { ...(await other.startRipcord(engine.origin, flags.data)), name: 'before' as const };
  },
  ripcord: async () =>
    flags.origin === undefined
      ? startRipcord(engine.origin, flags.data)
      : attachRipcord({ origin: flags.origin, key: flags.key, pids: flags.pids }),
};

const idleStarters: Partial<Record<TargetName, () => Promise<IdleEdge>>> = {
  floor: startFloorEdge,
  ripcord: () => startRipcordEdge(flags.data),
};

async function startTargets(): Promise<Target[]> {
  const names = only.length === 1 && only[0] === PROOFS ? [] : chosen(TARGETS);
  const targets: Target[] = [];
  for (const name of TARGETS) {
    if (name !== 'direct' && !names.includes(name)) continue;
    if (name === 'before' && flags.before === undefined) continue;
    try {
      targets.push(await starters[name]());
    } catch (error) {
      notes.push(`${name} was not measured: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return targets;
}

/** Lets every process compile its hot paths before anything counts, and proves that each path works. */
async function warm(target: Target): Promise<void> {
  const client = new Client(target);
  const result = await calls(client, {
    run: context.nextRun(),
    concurrency: 8,
    calls: flags.quick ? 400 : 1500,
    seconds: 5,
  });
  if (result.failed > 0) throw new Error(result.failure);
  const streams = Array.from(
    { length: 20 },
    (_, index) => openStream(client, { run: context.nextRun(), index, rate: 200, tokens: 100 }, () => {}).done,
  );
  const bad = (await Promise.all(streams)).find((r) => r.end !== 'done' || r.broken > 0);
  await compareBody(target, client);
  client.close();
  if (bad !== undefined) throw new Error(`a stream was ${bad.end} after ${bad.tokens} tokens: ${bad.failure}`);
}

/** Notes what a path does to a body; the digests of each run prove that what was asked for is untouched. */
async function compareBody(target: Target, client: Client): Promise<void> {
  const ask = { run: context.nextRun(), index: 0, rate: 0, tokens: 40 };
  const sent = chatBody(ask);
  await client.call(sent);
  const { lastBody } = await engine.record(ask.run);
  if (lastBody === sent) return;
  const [before, after] = [Object.keys(JSON.parse(sent)), Object.keys(JSON.parse(lastBody))];
  const added = after.filter((key) => !before.includes(key));
  const dropped = before.filter((key) => !after.includes(key));
  context.note(
    `${target.name} writes bodies anew (${sent.length} bytes sent, ${lastBody.length} reach the engine; added: ${added.join(', ') || 'none'}; dropped: ${dropped.join(', ') || 'none'})`,
  );
}

async function measure(targets: Target[]): Promise<Samples> {
  const samples: Samples = {};
  const names = chosen([...CASES.map((c) => c.name), IDLE, PROOFS]);
  for (const one of CASES.filter((c) => names.includes(c.name))) {
    const share = machineShare();
    const perTarget: Partial<Record<TargetName, Awaited<ReturnType<Case['measure']>>[]>> = (samples[one.name] = {});
    const able = targets.filter((t) => t.concurrency >= one.concurrency);
    const rounds = one.rounds[flags.quick ? 1 : 0];
    for (let round = 0; round < rounds && Date.now() < context.deadline; round++) {
      // Each round begins with another target, so that none is always first after a pause.
      const order = able.map((_, i) => able[(i + round) % able.length]!);
      for (const target of order) {
        try {
          (perTarget[target.name] ??= []).push(await one.measure(context, target, round));
        } catch (error) {
          context.note(`${one.name}: ${error instanceof Error ? error.message : String(error)}`);
          (perTarget[target.name] ??= []).push({});
        }
      }
    }
    const { busy, steal } = share();
    say(
      `${one.name}: ${Math.round((Date.now() - began) / 1000)} s, machine ${Math.round(busy * 100)} % busy, ${Math.round(steal * 100)} % stolen`,
    );
  }
  if (names.includes(IDLE)) samples[IDLE] = await measureAllIdle(targets);
  return samples;
}

/** On edges of their own, so that memory starts from nothing. */
async function measureAllIdle(targets: Target[]): Promise<Samples[string]> {
  const counts = flags.quick ? [100, 300] : [1000, 3000];
  const figures: Samples[string] = {};
  for (const target of targets) {
    const startIdle = idleStarters[target.name];
    if (startIdle === undefined) continue;
    try {
      const edge = await startIdle();
      try {
        figures[target.name] = [await measureIdle(edge, counts, context.note)];
      } finally {
        await edge.close();
      }
    } catch (error) {
      context.note(`idle: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  say(`idle: ${Math.round((Date.now() - began) / 1000)} s`);
  return figures;
}

const share = machineShare();
await new Promise((resolve) => setTimeout(resolve, 500));
const { busy } = share();
if (busy > 0.1) notes.push(`the machine was ${Math.round(busy * 100)} % busy with other work before the run began`);

const flush = flushMs(flags.data);

const targets = await startTargets();
const warmed: Target[] = [];
for (const target of targets) {
  await warm(target).then(
    () => warmed.push(target),
    (error: unknown) => notes.push(`${target.name} was not measured: ${error instanceof Error ? error.message : String(error)}`),
  );
}
const samples = await measure(warmed);
const proofs: ProofFigure[] = chosen([...CASES.map((c) => c.name), IDLE, PROOFS]).includes(PROOFS)
  ? [...(await measureVerifier(flags.quick ? 5 : 20)), ...measureProver()]
  : [];
const verdicts = lines(samples);
const names = warmed.map((t) => t.name);
const seconds = Math.round((Date.now() - began) / 1000);
const text = [
  `Medians over rounds in turns, ${seconds} s. Load generator, engine and every target are processes of their own on one machine; no core is reserved.`,
  `A write to ${flags.data} is on disk after ${flush.toFixed(2)} ms (median): what every durable write of the real path waits for.`,
  table(samples, names),
  '',
  lineTable(verdicts),
  ...(proofs.length > 0 ? ['', proofTable(proofs)] : []),
  ...notes.map((note) => `note: ${note}`),
].join('\n');
if (flags.json) {
  say(text);
  process.stdout.write(
    `${JSON.stringify({ date: new Date().toISOString(), seconds, quick: flags.quick, machine: { ...machine(), flushMs: flush }, node: process.version, targets: warmed.map((t) => ({ name: t.name, version: t.version })), lines: verdicts, proofs, notes, samples })}\n`,
  );
} else {
  process.stdout.write(`${text}\n`);
}
for (const target of targets) await target.close();
await engine.process.stop();
process.exit(verdicts.some((line) => line.verdict === 'missed') || missed(proofs) ? 1 : 0);
