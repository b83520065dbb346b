import { access, mkdir, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { CHUTE_NAME } from '#protocol';
import { chuteToml, SERVER_FILE, SERVER_PROGRAM } from '../chute-toml/starter.ts';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { openSession } from '../session.ts';
import { TEMPLATES } from '../templates/engines.ts';
import { templateNamed, wished } from '../templates/wish.ts';
import { templateToml } from '../templates/write.ts';

interface Options {
  name?: string;
  template?: string;
  model?: string;
  params?: string;
  listTemplates?: true;
}

export function addInit(program: Command, io: Io): void {
  program
    .command('init')
    .summary('write a chute.toml, for a tiny program or a model')
    .description(
      `Writes a chute.toml with every field explained, and a tiny program (${SERVER_FILE}) that it runs.\n` +
        'With --template, one that serves a model by a well-known engine, the GPU estimated from its name.\nNever overwrites a file.',
    )
    .argument('[folder]', 'where to; made if missing', '.')
    .option('--name <name>', 'name of the chute (else that of the folder, or of the model)')
    .option('--template <engine>', `${TEMPLATES.map((t) => t.name).join(', ')}`)
    .option('--model <org/name>', 'of a template: the model, as Hugging Face names it')
    .option('--params <size>', 'of a template: all parameters of the model, as 8b, where its name does not say')
    .option('--list-templates', 'what templates there are')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord init hello\n  $ ripcord deploy hello\n  $ ripcord init qwen --template vllm --model Qwen/Qwen3-8B\n  $ ripcord init --list-templates',
    )
    .action((folder: string, options: Options, command: Command) => init(folder, options, command, io));
}

async function init(folder: string, options: Options, command: Command, io: Io): Promise<void> {
  const session = await openSession(io, command, 'nothing');
  if (options.listTemplates === true) {
    const items = TEMPLATES.map(({ name, about, example, docs }) => ({ name, about, example, docs }));
    return session.result(
      { items },
      items.map(({ name, about, example }) => `${name.padEnd(10)} ${about}\n${' '.repeat(11)}as --model ${example}`).join('\n'),
    );
  }
  const dir = resolve(io.cwd, folder);
  const written = filesOf(dir, folder, options);
  if (!CHUTE_NAME.test(written.name))
    throw usage('invalid_name', `"${written.name}" cannot be the name of a chute.`, {
      hint: 'Give --name: 1 to 40 lower-case letters, digits and hyphens.',
    });
  const file = join(dir, 'chute.toml');
  const program = join(dir, SERVER_FILE);
  if (await exists(file)) throw usage('file_exists', `${file} is there already.`, { hint: 'Nothing was written.' });
  await mkdir(dir, { recursive: true });
  await writeFile(file, written.toml, { flag: 'wx' });
  const own = written.program && !(await exists(program));
  if (own) await writeFile(program, SERVER_PROGRAM, { flag: 'wx' });
  const files = own ? [file, program] : [file];
  await session.result(
    { name: written.name, files },
    `Wrote ${files.map((f) => relative(io.cwd, f) || f).join(' and ')}. Next: ripcord deploy ${relative(io.cwd, dir) || '.'}`,
  );
}

/** What to write. Throws a `Failure` (wrong use). */
function filesOf(
  dir: string,
  folder: string,
  { name, template, model, params }: Options,
): { name: string; toml: string; program: boolean } {
  if (template === undefined) {
    if ((model ?? params) !== undefined)
      throw usage('no_template', '--model and --params are of a template.', {
        hint: 'Give --template too; --list-templates tells which there are.',
      });
    const own = name ?? toName(basename(dir));
    return { name: own, toml: chuteToml(own), program: true };
  }
  const chosen = templateNamed(template);
  if (model === undefined)
    throw usage('no_model', `The template ${template} needs a model.`, { hint: `Give it as on Hugging Face: --model ${chosen.example}.` });
  const { image, wish } = wished(chosen, model, params);
  const own = name ?? toName(folder === '.' ? model.slice(model.indexOf('/') + 1) : basename(dir));
  return { name: own, toml: templateToml(chosen, image, wish, own), program: false };
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
