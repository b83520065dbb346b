/** A real Postgres for this machine: made when there is none, started, supervised. */
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { EXIT, lineOf, StartFailure } from './failure.ts';
import { accepting, freePort, isFree, LOOPBACK } from './ports.ts';
import type { Leash } from './leash.ts';
import { binaries, environment, identityFor, wrap, type Identity } from './postgres-program.ts';
import { makePart, type Part, type Say } from './supervise.ts';

const run = promisify(execFile);
const OWNER = 'ripcord';
const DATABASE = 'ripcord';

export interface PostgresAsk {
  /** Where the cluster lies. */
  folder: string;
  /** Where its log goes. */
  logFile: string;
  password: string;
  /** The port of the last start; another is taken if it is in use now. */
  port: number | undefined;
  /** False gives up durability against a power cut; for tests. */
  durable: boolean;
}

export interface Postgres {
  part: Part;
  port: number;
  /** Connection string, password included: never print it. */
  url: string;
}

/**
 * Makes the cluster if there is none and starts it.
 * @throws StartFailure with the folder's exit code when the cluster is broken or of another Postgres.
 */
export async function startPostgres(ask: PostgresAsk, leash: Leash, say: Say): Promise<Postgres> {
  const bin = await binaries();
  const identity = await identityFor(bin.postgres);
  // Another user has to get through our folder to its own; the files in it stay ours.
  if (identity.uid !== undefined) chmodSync(dirname(ask.folder), 0o711);
  await endLeftover(ask.folder);
  if (!existsSync(join(ask.folder, 'PG_VERSION'))) {
    say('Making a Postgres cluster.');
    await initialise(bin.initdb, identity, ask, leash.signal);
  }
  checkVersion(ask.folder, bin.version);
  const port = ask.port !== undefined && (await isFree(ask.port)) ? ask.port : await freePort();
  const url = `postgresql://${OWNER}:${ask.password}@${LOOPBACK}:${port}/${DATABASE}`;
  const [command, args] = wrap(identity.prefix, bin.postgres, serverArgs(ask, port));
  const part = makePart(
    {
      name: 'Postgres',
      command,
      args,
      env: environment(),
      cwd: dirname(bin.postgres),
      logFile: ask.logFile,
      // Fast shutdown: sessions are ended, everything is written.
      stopSignal: 'SIGINT',
      graceMs: 5_000,
      before: () => endLeftover(ask.folder),
      ready: (signal) => answering(port, ask.password, signal),
      uid: identity.uid,
      gid: identity.gid,
    },
    leash,
    say,
  );
  await part.start().catch((error: unknown) => {
    throw new StartFailure(lineOf(error), EXIT.folder);
  });
  await ensureDatabase(port, ask.password);
  return { part, port, url };
}

/** Our own few settings: loopback only, no socket file, small, and text times in UTC. */
function serverArgs(ask: PostgresAsk, port: number): string[] {
  const settings = {
    listen_addresses: LOOPBACK,
    unix_socket_directories: '',
    max_connections: '40',
    shared_buffers: '32MB',
    // No named shared memory, so a killed server leaves none behind.
    dynamic_shared_memory_type: 'mmap',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_error_statement: 'panic',
    ...(ask.durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
  };
  return ['-D', ask.folder, '-p', String(port), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

async function initialise(initdb: string, identity: Identity, ask: PostgresAsk, signal: AbortSignal): Promise<void> {
  if (existsSync(ask.folder) && readdirSync(ask.folder).length > 0) {
    throw new StartFailure(`${ask.folder} holds something that is no Postgres cluster.`, EXIT.folder);
  }
  mkdirSync(ask.folder, { recursive: true, mode: 0o700 });
  const passwordFile = `${ask.folder}.password`;
  writeFileSync(passwordFile, ask.password, { mode: 0o600 });
  if (identity.uid !== undefined && identity.gid !== undefined) {
    chownSync(ask.folder, identity.uid, identity.gid);
    chownSync(passwordFile, identity.uid, identity.gid);
  }
  const args = [
    '-D',
    ask.folder,
    '-U',
    OWNER,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
  ];
  const [command, rest] = wrap(identity.prefix, initdb, args);
  try {
    await run(command, rest, {
      env: environment(),
      signal,
      ...(identity.uid === undefined ? {} : { uid: identity.uid }),
      ...(identity.gid === undefined ? {} : { gid: identity.gid }),
    });
  } catch (error) {
    rmSync(ask.folder, { recursive: true, force: true });
    const cause = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1) ?? 'initdb failed';
    throw new StartFailure(`No Postgres cluster can be made in ${ask.folder}: ${cause}`, EXIT.folder);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

function checkVersion(folder: string, version: string): void {
  const written = readFileSync(join(folder, 'PG_VERSION'), 'utf8').trim();
  if (written !== version) throw new StartFailure(`${folder} was written by Postgres ${written}; this is ${version}.`, EXIT.folder);
}

/**
 * The data folder is locked by us, so a server that still runs on it was left by a killed start: end it. A pid file
 * of a dead one goes too, as its number may belong to another process by now.
 */
async function endLeftover(folder: string): Promise<void> {
  const file = join(folder, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    for (let tries = 0; tries < 100 && (await isServerOf(pid, folder)); tries++) {
      if (tries === 0) process.kill(pid, signal);
      await sleep(30);
    }
  }
  rmSync(file, { force: true });
}

async function isServerOf(pid: number, folder: string): Promise<boolean> {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  return (await commandOf(pid)).includes(`-D ${folder} `);
}

async function commandOf(pid: number): Promise<string> {
  if (existsSync('/proc/self/cmdline')) {
    const file = `/proc/${pid}/cmdline`;
    return existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\0', ' ') : '';
  }
  return run('ps', ['-o', 'args=', '-p', String(pid)]).then(
    ({ stdout }) => stdout,
    () => '',
  );
}

async function answering(port: number, password: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    await accepting(port, signal);
    const up = await asOwner(port, password, 'postgres', (client) => client.query('select 1')).then(
      () => true,
      () => false,
    );
    if (up) return;
    await sleep(20, undefined, { signal });
  }
}

async function ensureDatabase(port: number, password: string): Promise<void> {
  await asOwner(port, password, 'postgres', async (client) => {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  });
}

async function asOwner<T>(port: number, password: string, database: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ host: LOOPBACK, port, user: OWNER, password, database, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
