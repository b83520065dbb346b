/** What proofs cost: the verifier inside workerd, by the CPU time of its process; the reference prover in this one. */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { proveMm } from '#protocol/challenge/mm.ts';
import { MEM_PROFILES, MM_PROFILES } from '#protocol/challenge/suite.ts';
import { proveWork, type Work } from '#protocol/challenge/work.ts';
import { hotkeyOf } from '../../../dev/hotkeys.ts';
import { cpuMicros } from '../measure.ts';
import { start, type Proc } from '../spawn.ts';
import { madeMm, type Made } from './made.ts';
import type { ProofAsk } from './worker.ts';

export interface ProofFigure {
  title: string;
  value: number;
  unit: 'ms' | 'bytes' | '10⁶/s' | '/s';
  /** What it may be at most; the figure is a line of the design. */
  most?: number;
}

const ROOT = join(import.meta.dirname, '../../..');
const STEPS = 600;

/** The verifier at the size of production: n = 8,192, T = 600. */
export async function measureVerifier(times: number): Promise<ProofFigure[]> {
  const ask = { profile: MM_PROFILES['mm-8192'], steps: STEPS, seed: randomBytes(32), shared: randomBytes(32) };
  const four = { ...ask, profile: { ...ask.profile, opened: 4, rows: 4 } };
  const [spread, square] = [madeMm(ask, 16, 1), madeMm(four, 4, 4)];
  const [seed, shared] = [Buffer.from(ask.seed).toString('hex'), Buffer.from(ask.shared).toString('hex')];
  const mm = ({ root, samples }: Made, opened: number, rows: number, keep: boolean): ProofAsk => {
    return { what: 'mm', steps: STEPS, opened, rows, seed, shared, root, samples, keep };
  };
  const memory = madeMemory();
  const edge = await startVerifier();
  try {
    const first = await cost(edge, mm(spread, 16, 1, false), spread.opening, 1);
    const figures: ProofFigure[] = [
      { title: 'verify pow.mm, n=8192 T=600 S=16 R=1: first of a new isolate', value: first, unit: 'ms' },
      { title: '  tiles made anew', value: await cost(edge, mm(spread, 16, 1, false), spread.opening, times), unit: 'ms', most: 250 },
      { title: '  tiles of the round kept', value: await kept(edge, mm(spread, 16, 1, true), spread, times), unit: 'ms' },
      {
        title: '  S=4 R=4, tiles made anew',
        value: await cost(edge, mm(square, 4, 4, false), square.opening, times),
        unit: 'ms',
        most: 250,
      },
      { title: '  bytes opened', value: spread.opening.length, unit: 'bytes' },
      { title: 'verify pow.mem, 131,072 lanes', value: await cost(edge, memory.ask, memory.opening, times * 4), unit: 'ms', most: 250 },
      { title: '  bytes opened', value: memory.opening.length, unit: 'bytes' },
      { title: 'login (sr25519) and commit (Ed25519)', value: await cost(edge, signatures(), new Uint8Array(), times * 10), unit: 'ms' },
    ];
    return figures;
  } finally {
    await edge.close();
  }
}

/** The prover in plain TypeScript, alone on a thread. */
export function measureProver(): ProofFigure[] {
  const random = () => randomBytes(32).toString('hex');
  const mm = (profile: 'mm-128' | 'mm-512', steps: number): ProofFigure => {
    const ask = { profile: MM_PROFILES[profile], steps, seed: randomBytes(32), shared: randomBytes(32) };
    proveMm({ ...ask, steps: 20 });
    const spent = milliseconds(() => proveMm(ask));
    return { title: `prove pow.mm ${profile}, multiply-adds`, value: (steps * ask.profile.n ** 3) / spent / 1_000, unit: '10⁶/s' };
  };
  const work: Work = { kind: 'pow.mem', profile: 'mem-cpu', steps: 2, seed: random(), randomness: random() };
  proveWork(work);
  return [
    mm('mm-128', 500),
    mm('mm-512', 20),
    { title: 'prove pow.mem mem-cpu, 2 MiB', value: milliseconds(() => proveWork(work)), unit: 'ms' },
  ];
}

/** Whether one of them is over its bound. */
export function missed(figures: readonly ProofFigure[]): boolean {
  return figures.some(({ most, value }) => most !== undefined && value > most);
}

export function proofTable(figures: readonly ProofFigure[]): string {
  const width = Math.max(...figures.map(({ title }) => title.length));
  const bound = ({ most, value }: ProofFigure) => (most === undefined ? '' : `  <= ${most} ${value <= most ? 'met' : 'MISSED'}`);
  return figures
    .map((f) => `${f.title.padEnd(width)}  ${f.value.toFixed(f.unit === 'ms' ? 1 : 0).padStart(8)} ${f.unit}${bound(f)}`)
    .join('\n');
}

interface Verifier {
  process: Proc;
  post(ask: ProofAsk, opening: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** CPU milliseconds of the process per check, net of as many requests that carry the same bytes and check nothing. */
async function cost(edge: Verifier, ask: ProofAsk, opening: Uint8Array, times: number): Promise<number> {
  const spent = async (what: ProofAsk): Promise<number> => {
    const before = cpuMicros(edge.process.pid);
    for (let time = 0; time < times; time++) await edge.post(what, opening);
    return cpuMicros(edge.process.pid) - before;
  };
  const checked = await spent(ask);
  return Math.max(0, checked - (await spent({ what: 'empty' }))) / times / 1_000;
}

async function kept(edge: Verifier, ask: ProofAsk, made: Made, times: number): Promise<number> {
  await edge.post(ask, made.opening);
  return cost(edge, ask, made.opening, times);
}

/** A real walk at the size of production through less memory: the verifier does not see how much it was. */
function madeMemory(): { ask: ProofAsk; opening: Uint8Array } {
  const work: Work = { kind: 'pow.mem', profile: 'mem-gpu', steps: 4, seed: randomBytes(32).toString('hex'), randomness: '00'.repeat(32) };
  const proof = proveWork(work);
  if (proof === null) throw new Error(`no profile among ${Object.keys(MEM_PROFILES).join(', ')}`);
  const randomness = createHash('sha256').update('samples').digest('hex');
  return { ask: { what: 'mem', work, root: proof.root, randomness }, opening: proof.open(randomness) };
}

function signatures(): ProofAsk {
  const text = 'a login, or a commit';
  const hotkey = hotkeyOf('07'.repeat(32));
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex');
  const commit = { key, signature: sign(null, Buffer.from(text), privateKey).toString('hex') };
  return { what: 'signatures', text, login: { hotkey: hotkey.ss58, signature: hotkey.sign(text) }, commit };
}

const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .worker) ],
  sockets = [ (name = "http", address = "127.0.0.1:0", http = (), service = "main") ]
);
const worker :Workerd.Worker = (
  modules = [ (name = "worker.js", esModule = embed "worker.js") ],
  compatibilityDate = "2026-10-20"
);
`;

async function startVerifier(): Promise<Verifier> {
  const dir = mkdtempSync(join(tmpdir(), 'ripcord-proofs-'));
  const entryPoints = [join(import.meta.dirname, 'worker.ts')];
  await build({ entryPoints, bundle: true, format: 'esm', outfile: join(dir, 'worker.js'), logLevel: 'error' });
  writeFileSync(join(dir, 'proofs.capnp'), CONFIG);
  const process = await start(join(ROOT, 'node_modules/.bin/workerd'), ['serve', join(dir, 'proofs.capnp'), '--control-fd=3'], {
    channel: 3,
    ready: (line) => line.includes('"listen"'),
  });
  const { port } = JSON.parse(process.line) as { port: number };
  return {
    process,
    post: async (ask, opening) => {
      const text = Buffer.from(JSON.stringify(ask));
      const length = Buffer.alloc(4);
      length.writeUInt32BE(text.length);
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: Buffer.concat([length, text, opening]) });
      const wrong = await response.text();
      if (wrong !== 'null') throw new Error(`not right: ${response.status} ${wrong.slice(0, 300)}`);
    },
    close: async () => {
      await process.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function milliseconds(job: () => unknown): number {
  const began = performance.now();
  job();
  return performance.now() - began;
}
