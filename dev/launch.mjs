// The first thing `npm start` runs, on any Node from 20 on and with nothing installed: so it imports nothing but Node.
// It installs what the lockfile names, then hands over to the Node that came with it.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const binaries = join(root, 'node_modules', '.bin');

const args = process.argv.slice(2);
if (!isInstalled()) install();
// Other npm scripts want the packages only.
if (!args.includes('--install-only')) handOver(nodePath());

/** Every package that the lockfile demands is there in that version. */
function isInstalled() {
  const wanted = readPackages('package-lock.json');
  const present = readPackages('node_modules/.package-lock.json');
  if (!present || !existsSync(join(binaries, 'node'))) return false;
  return Object.entries(wanted ?? {}).every(
    ([path, entry]) => path === '' || entry.optional || entry.devOptional || present[path]?.version === entry.version,
  );
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
  } catch {
    return undefined;
  }
}

function install() {
  process.stderr.write('Installing what package-lock.json names; this is done once.\n');
  if (npm('ci') || npm('install')) return;
  process.stderr.write('npm failed; what it wrote above says why. Run this again once that is solved.\n');
  process.exit(1);
}

/** True if it worked. stdout belongs to the answer (--json), so npm writes to stderr. */
function npm(command) {
  const options = { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' };
  return spawnSync('npm', [command, '--no-audit', '--no-fund', '--loglevel=error'], options).status === 0;
}

function nodePath() {
  const bundled = join(binaries, 'node');
  if (existsSync(bundled)) return bundled;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  process.stderr.write('Node 24 is missing: npm was told not to run install scripts. Run `npm rebuild node`, or use Node 24.\n');
  process.exit(1);
}

function handOver(node) {
  const words = ['--disable-warning=ExperimentalWarning', join(root, 'dev', 'start.ts'), ...args];
  // The channel tells the conductor when this process dies without a word.
  const child = spawn(node, words, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: {
      NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'node'),
      ...process.env,
      PATH: `${binaries}${delimiter}${process.env.PATH}`,
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
}
