/** What of a folder is packed: sorted entries with what a miner needs of them, and nothing that says where they came from. */
import { lstat, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { usage } from '../failure.ts';
import { ignoreRules, type Ignored } from './ignore.ts';

export type Entry =
  | { kind: 'folder'; path: string }
  | { kind: 'file'; path: string; file: string; bytes: number; executable: boolean }
  | { kind: 'link'; path: string; target: string };

/** Entries of one folder; more is a folder that was not meant (a home folder, a data set). */
const MAX_ENTRIES = 20_000;

/** The entries of a folder in the order they are packed (by bytes of the path). */
export async function walkFolder(folder: string): Promise<Entry[]> {
  const root = await folderPath(folder);
  const ignored = ignoreRules(await rulesText(root));
  const entries: Entry[] = [];
  await walk(root, '', ignored, entries);
  return entries.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

async function folderPath(folder: string): Promise<string> {
  const found = await lstat(resolve(folder)).then(
    () => realpath(folder),
    () => null,
  );
  if (found === null || !(await lstat(found)).isDirectory()) throw usage('no_code_folder', `There is no folder ${folder}.`);
  return found;
}

/** `.ripcordignore`, or where there is none, `.gitignore`. */
async function rulesText(root: string): Promise<string> {
  for (const name of ['.ripcordignore', '.gitignore']) {
    const text = await readFile(join(root, name), 'utf8').catch(() => null);
    if (text !== null) return text;
  }
  return '';
}

async function walk(root: string, inside: string, ignored: Ignored, entries: Entry[]): Promise<void> {
  for (const child of await readdir(join(root, inside), { withFileTypes: true })) {
    const path = inside === '' ? child.name : `${inside}/${child.name}`;
    if (ignored(path, child.isDirectory())) continue;
    if (entries.length >= MAX_ENTRIES) {
      throw usage('code_too_large', `${root} has more than ${MAX_ENTRIES} files.`, {
        hint: 'Name what is not needed in .ripcordignore, or point `code` at a smaller folder.',
      });
    }
    entries.push(await toEntry(root, path));
    if (child.isDirectory()) await walk(root, path, ignored, entries);
  }
}

async function toEntry(root: string, path: string): Promise<Entry> {
  const file = join(root, path);
  const stat = await lstat(file);
  if (stat.isDirectory()) return { kind: 'folder', path };
  if (stat.isFile()) return { kind: 'file', path, file, bytes: stat.size, executable: (stat.mode & 0o100) !== 0 };
  if (stat.isSymbolicLink()) return { kind: 'link', path, target: await insideTarget(root, path) };
  throw usage('code_not_a_file', `${path} is neither a file, a folder nor a link.`, { hint: 'Name it in .ripcordignore.' });
}

/** The target of a link that stays inside the folder; on the miner nothing else is there. */
async function insideTarget(root: string, path: string): Promise<string> {
  const file = join(root, path);
  const target = await readlink(file);
  const real = await realpath(file).catch(() => null);
  const named = resolve(dirname(file), target);
  if (isAbsolute(target) || leaves(root, named) || (real !== null && leaves(root, real))) {
    throw usage('code_link_outside', `${path} is a link that leaves the code folder.`, {
      hint: 'Copy the file into the folder, or name the link in .ripcordignore.',
    });
  }
  return target.split(sep).join('/');
}

function leaves(root: string, file: string): boolean {
  const way = relative(root, file);
  return way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way);
}
