/** The edge under `wrangler dev`: slower than plain workerd, but it reloads when a source changes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { quietWrangler } from './bundle.ts';
import { accepting, LOOPBACK } from './ports.ts';
import type { Leash } from './leash.ts';
import { makePart, type Part, type Say } from './supervise.ts';
import type { WorkerAsk } from './workerd.ts';

export async function startReloading(ask: Omit<WorkerAsk, 'blobs' | 'mayFetch'>, leash: Leash, say: Say): Promise<Part> {
  // Values go by file, not by argument: every user of the machine can read arguments.
  const values = join(ask.folder, 'vars.env');
  writeFileSync(
    values,
    Object.entries(ask.vars)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
      .join(''),
    { mode: 0o600 },
  );
  const wrangler = join(ask.root, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
  const flags = {
    config: ask.wranglerToml,
    ip: LOOPBACK,
    port: String(ask.port),
    'inspector-port': '0',
    'persist-to': join(ask.folder, 'state'),
    'env-file': values,
    'log-level': 'warn',
  };
  const part = makePart(
    {
      name: ask.name,
      command: process.execPath,
      args: [wrangler, 'dev', ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])],
      env: quietWrangler(ask.root),
      cwd: ask.root,
      logFile: ask.logFile,
      stopSignal: 'SIGTERM',
      graceMs: 3_000,
      ready: (signal) => accepting(ask.port, signal),
    },
    leash,
    say,
  );
  await part.start();
  return part;
}
