import { access, mkdir, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { CHUTE_NAME } from '#protocol';
import { chuteToml, SERVER_FILE, SERVER_PROGRAM } from '../chute-toml/starter.ts';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { openSession } from '../session.ts';

export function addInit(program: Command, io: Io): void {
  program
    .command('init')
    .summary('write a chute.toml and a tiny program')
    .description(
      `Writes a chute.toml with every field explained, and a tiny program (${SERVER_FILE}) that it runs.\nNever overwrites a file.`,
    )
    .argument('[folder]', 'where to; made if missing', '.')
    .option('--name <name>', 'name of the chute (else that of the folder)')
    .addHelpText('after', '\nExample:\n  $ ripcord init hello\n  $ ripcord deploy hello')
    .action((folder: string, options: { name?: string }, command: Command) => init(folder, options, command, io));
}

async function init(folder: string, options: { name?: string }, command: Command, io: Io): Promise<void> {
  const dir = resolve(io.cwd, folder);
  const name = options.name ?? toName(basename(dir));
  if (!CHUTE_NAME.test(name))
    throw usage('invalid_name', `"${name}" cannot be the name of a chute.`, {
      hint: 'Give --name: 1 to 40 lower-case letters, digits and hyphens.',
    });
  const session = await openSession(io, command, 'nothing');
  const file = join(dir, 'chute.toml');
  const program = join(dir, SERVER_FILE);
  if (await exists(file)) throw usage('file_exists', `${file} is there already.`, { hint: 'Nothing was written.' });
  await mkdir(dir, { recursive: true });
  await writeFile(file, chuteToml(name), { flag: 'wx' });
  const own = !(await exists(program));
  if (own) await writeFile(program, SERVER_PROGRAM, { flag: 'wx' });
  const files = own ? [file, program] : [file];
  await session.result(
    { name, files },
    `Wrote ${files.map((f) => relative(io.cwd, f) || f).join(' and ')}. Next: ripcord deploy ${relative(io.cwd, dir) || '.'}`,
  );
}

function toName(folder: string): string {
  return folder
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
