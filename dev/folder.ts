/** The data folder: who may use it, what it remembers between starts, and whether it can be used at all. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import * as z from 'zod/mini';
import { EXIT, lineOf, StartFailure } from './failure.ts';

const STATE = 'state.json';
const LOCK = 'lock';

const hex = (bytes: number) => z.string().check(z.regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`)));

/** Secrets and choices that a second start finds again. The file is readable by its owner only. */
const stateSchema = z.strictObject({
  /** The workerd that wrote the objects: an older one cannot read what a newer one wrote. */
  workerd: z.string().check(z.regex(/^\d+\.\d+\.\d+$/)),
  edgeSecret: hex(32),
  internalToken: hex(32),
  postgresPassword: hex(16),
  postgresPort: z.optional(z.int()),
  chainPort: z.optional(z.int()),
  /** The secret of the demo account's key; shown again at every start. */
  demoKey: z.optional(z.string()),
  /** The secret of the judge's key: canary calls are paid from its own account. */
  judgeKey: z.optional(z.string()),
});
export type State = z.infer<typeof stateSchema>;

export interface DataFolder {
  readonly path: string;
  readonly state: Readonly<State>;
  /** Written at once, atomically. */
  remember(patch: Partial<State>): void;
  /** The path of something inside; `folder` makes sure that it exists. */
  file(...names: string[]): string;
  folder(...names: string[]): string;
  /** Lets another start use it. */
  release(): void;
}

/**
 * Locks and reads the folder, making it if need be. Throws `StartFailure` with the exit code for an unusable folder: held by
 * another start, unreadable, not ours, or written by a newer workerd.
 */
export function openFolder(given: string, { fresh, workerd }: { fresh: boolean; workerd: string }): DataFolder {
  const path = resolve(given);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    refuseForeign(path);
    const release = lock(path);
    if (fresh) empty(path);
    return folderAt(path, readState(path, workerd), release);
  } catch (error) {
    if (error instanceof StartFailure) throw error;
    throw new StartFailure(`The data folder ${path} cannot be used: ${lineOf(error)}.`, EXIT.folder);
  }
}

function folderAt(path: string, initial: State, release: () => void): DataFolder {
  let state = initial;
  const file = (...names: string[]) => join(path, ...names);
  const write = () => {
    writeFileSync(file(`${STATE}.new`), `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
    renameSync(file(`${STATE}.new`), file(STATE));
  };
  write();
  return {
    path,
    get state() {
      return state;
    },
    remember(patch) {
      state = { ...state, ...patch };
      write();
    },
    file,
    folder(...names) {
      mkdirSync(file(...names), { recursive: true, mode: 0o700 });
      return file(...names);
    },
    release,
  };
}

/** A folder with other people's files in it is left alone, with `--fresh` above all. */
function refuseForeign(path: string): void {
  const entries = readdirSync(path).filter((name) => !name.startsWith(LOCK));
  if (entries.length === 0 || entries.includes(STATE)) return;
  throw new StartFailure(`The data folder ${path} holds files but no ${STATE}: it is broken or not a data folder.`, EXIT.folder);
}

/** A lock of the operating system, through SQLite: it ends with the process, however that ends. */
function lock(path: string): () => void {
  const database = new DatabaseSync(join(path, LOCK));
  try {
    database.exec('pragma busy_timeout = 0; begin exclusive');
  } catch (error) {
    database.close();
    if (!/locked/.test(lineOf(error))) throw error;
    throw new StartFailure(`The data folder ${path} is in use by another start.`, EXIT.folder);
  }
  return () => database.close();
}

function empty(path: string): void {
  for (const name of readdirSync(path)) {
    if (!name.startsWith(LOCK)) rmSync(join(path, name), { recursive: true, force: true });
  }
}

function readState(path: string, workerd: string): State {
  const file = join(path, STATE);
  if (!existsSync(file)) return newState(workerd);
  const parsed = stateSchema.safeParse(parseJson(readFileSync(file, 'utf8')));
  if (!parsed.success) throw new StartFailure(`The data folder is broken: ${file} does not say what it should.`, EXIT.folder);
  if (isNewer(parsed.data.workerd, workerd)) {
    throw new StartFailure(
      `The data folder ${path} was written by workerd ${parsed.data.workerd}; this is the older ${workerd}.`,
      EXIT.folder,
    );
  }
  return { ...parsed.data, workerd };
}

function newState(workerd: string): State {
  const secret = (bytes: number) => randomBytes(bytes).toString('hex');
  return { workerd, edgeSecret: secret(32), internalToken: secret(32), postgresPassword: secret(16) };
}

function isNewer(a: string, b: string): boolean {
  return a.localeCompare(b, 'en', { numeric: true }) > 0;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
