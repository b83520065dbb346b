/** Packs the agent into one file that runs from an empty folder: `dist/ripcord-miner.mjs`, or where the argument says. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The prover's thread has a program of its own, which the one file carries as text. */
const prover = await build({
  absWorkingDir: root,
  entryPoints: ['miner-agent/prover/worker.ts'],
  bundle: true,
  write: false,
  minify: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  legalComments: 'none',
  logLevel: 'warning',
});

await build({
  absWorkingDir: root,
  entryPoints: ['miner-agent/bin.ts'],
  outfile: process.argv[2] ?? 'dist/ripcord-miner.mjs',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // CommonJS dependencies ask for Node's own modules by `require`.
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  define: { PROVER_PROGRAM: JSON.stringify(prover.outputFiles[0]?.text) },
  external: ['bufferutil', 'utf-8-validate'],
  legalComments: 'none',
  logLevel: 'warning',
});
