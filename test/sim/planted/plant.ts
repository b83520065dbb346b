/** A copy of the production code and of the simulator with one defect in it, and what the simulator says of it. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BatchResult } from '../batch.ts';
import type { PlantedBug } from './bugs.ts';

const ROOT = join(import.meta.dirname, '../../..');
const COPIED = ['package.json', 'functions', 'miner-agent', 'db', 'test/sim'];

/** Runs the simulator on the patched copy, at most so many seeds from the bug's first on. Throws when the patch does not fit exactly once. */
export async function simulateWith(bug: PlantedBug, runs: number): Promise<BatchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'ripcord-planted-'));
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const file = join(folder, bug.file);
    const parts = readFileSync(file, 'utf8').split(bug.find);
    if (parts.length !== 2) throw new Error(`the patch "${bug.name}" fits ${parts.length - 1} times in ${bug.file}`);
    writeFileSync(file, parts.join(bug.replace));
    return await simulate(folder, bug.from ?? 1, runs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A batch in a process of its own. */
export function simulate(folder: string, from: number, runs: number): Promise<BatchResult> {
  const args = ['--disable-warning=ExperimentalWarning', 'test/sim/run.ts', '--from', String(from), '--runs', String(runs), '--json'];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'], timeout: 500_000 });
  let out = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      try {
        resolve(JSON.parse(out) as BatchResult);
      } catch {
        reject(new Error(`the simulator ended with ${code} and said no result`));
      }
    });
  });
}
