/** The bundles `wrangler deploy` would ship, made once per state of the sources. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { StartFailure } from './failure.ts';

const run = promisify(execFile);

/** Folders whose files end up in a Worker, and the files that decide how. */
const SOURCES = ['functions', 'validator-cron', 'db', 'package-lock.json', 'wrangler.toml', 'tsconfig.json'];
/** Bundles of older states are swept once there are more. */
const KEPT_BUNDLES = 6;

/** The environment for wrangler: offline, quiet, unobserved, and writing nothing outside the clone. */
export function quietWrangler(root: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_SEND_ERROR_REPORTS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    DO_NOT_TRACK: '1',
    CI: '1',
    X_LOCAL_OBSERVABILITY: 'false',
    NO_COLOR: '1',
    WRANGLER_WRITE_LOGS: 'false',
    XDG_CONFIG_HOME: join(root, 'node_modules', '.cache', 'ripcord', 'config'),
  };
}

/** What can be bundled: the Worker of this wrangler.toml. */
export interface BundleAsk {
  root: string;
  /** Relative to the root. */
  wranglerToml: string;
  name: string;
}

/** The bundled ES module's path. Fast when nothing changed since the last time. */
export async function bundle({ root, wranglerToml, name }: BundleAsk, signal: AbortSignal): Promise<string> {
  const store = join(root, 'node_modules', '.cache', 'ripcord');
  const folder = join(store, `${name}-${hashSources(root)}`);
  const main = join(folder, 'index.js');
  if (existsSync(main)) return main;
  const making = `${folder}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  const wrangler = join(root, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
  const args = [wrangler, 'deploy', '--dry-run', '--outdir', making, '-c', wranglerToml];
  try {
    await run(process.execPath, args, { cwd: root, env: quietWrangler(root), maxBuffer: 16 * 1024 * 1024, signal });
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    const { stderr = '', stdout = '' } = error as { stderr?: string; stdout?: string };
    throw new StartFailure(`The ${name} does not bundle:\n${stripVTControlCharacters(stderr || stdout).trim()}`);
  }
  publish(making, folder);
  sweep(store, name);
  return main;
}

/** Another start may have made the same bundle meanwhile; either is right. */
function publish(making: string, folder: string): void {
  try {
    renameSync(making, folder);
  } catch {
    rmSync(making, { recursive: true, force: true });
  }
}

function sweep(store: string, name: string): void {
  const age = (entry: string) => statSync(join(store, entry)).mtimeMs;
  const made = readdirSync(store).filter((entry) => entry.startsWith(`${name}-`) && !entry.includes('.'));
  const old = made.toSorted((a, b) => age(b) - age(a)).slice(KEPT_BUNDLES);
  for (const entry of old) rmSync(join(store, entry), { recursive: true, force: true });
}

function hashSources(root: string): string {
  const hash = createHash('sha256');
  for (const file of SOURCES.flatMap((source) => filesOf(join(root, source)))) {
    hash.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

function filesOf(path: string): string[] {
  if (!existsSync(path)) return [];
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}
