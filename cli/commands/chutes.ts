import type { Command } from 'commander';
import type { Chute, StartError, Version } from '../answers.ts';
import { usage } from '../failure.ts';
import { printable, type Io } from '../io.ts';
import { chuteName, openSession, type Session } from '../session.ts';
import { shortVersion, showTime, table } from '../show.ts';

const NAME = 'owner/name, a name of your own, or an id (cht_…)';

export function addChutes(program: Command, io: Io): void {
  const chutes = program
    .command('chutes')
    .summary('list, show, delete and roll back chutes')
    .description('Lists, shows, deletes and rolls back chutes.')
    .addHelpText('after', '\nExample:\n  $ ripcord chutes list\n  $ ripcord chutes get hello\n  $ ripcord chutes rollback hello 0a1b2c3d');
  chutes
    .command('list')
    .description('Lists your chutes and the public ones.')
    .addHelpText('after', '\nExample:\n  $ ripcord chutes list --json | jq -r ".items[].name"')
    .action(async (_options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const items = await session.client.chutes();
      const rows = items.map((c) => [
        c.name,
        c.public === true ? 'public' : 'private',
        c.template ?? '-',
        shortVersion(c.version),
        c.tagline ?? '',
      ]);
      await session.result({ items }, table(['NAME', 'WHO', 'TEMPLATE', 'VERSION', 'TAGLINE'], rows));
    });
  chutes
    .command('get')
    .description('Shows a chute and its instances.')
    .argument('<name>', NAME)
    .addHelpText('after', '\nExample:\n  $ ripcord chutes get hello')
    .action(async (name: string, _options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const chute = await session.client.chute(await chuteName(session, name));
      await session.result(chute, showChute(chute));
    });
  chutes
    .command('delete')
    .description('Deletes a chute of yours: its instances stop, its calls are refused.')
    .argument('<name>', NAME)
    .addHelpText('after', '\nExample:\n  $ ripcord chutes delete hello')
    .action(async (name: string, _options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const full = await chuteName(session, name);
      await session.client.deleteChute(full);
      await session.result({ name: full, deleted: true }, `${full} is deleted.`);
    });
  chutes
    .command('versions')
    .description('Lists the versions of a chute, newest first.')
    .argument('<name>', NAME)
    .addHelpText('after', '\nExample:\n  $ ripcord chutes versions hello')
    .action(async (name: string, _options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const items = await session.client.versions(await chuteName(session, name));
      await session.result({ items }, table(['VERSION', 'MADE', ''], items.map(versionRow)));
    });
  chutes
    .command('rollback')
    .description('Makes an older version the one that serves.')
    .argument('<name>', NAME)
    .argument('<version>', 'the version, or its first 6 digits or more')
    .addHelpText('after', '\nExample:\n  $ ripcord chutes rollback hello 0a1b2c3d')
    .action(async (name: string, version: string, _options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const full = await chuteName(session, name);
      const exact = await fullVersion(session, full, version);
      await session.client.rollback(full, exact);
      await session.result({ name: full, version: exact }, `${full} serves version ${shortVersion(exact)}.`);
    });
}

async function fullVersion(session: Session, name: string, version: string): Promise<string> {
  if (/^[0-9a-f]{64}$/.test(version)) return version;
  if (!/^[0-9a-f]{6,63}$/.test(version))
    throw usage('invalid_version', `${version} is not a version.`, { hint: 'It is 6 to 64 hex digits, as chutes versions shows them.' });
  const found = (await session.client.versions(name)).filter((item) => item.version.startsWith(version));
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw usage('invalid_version', `${found.length === 0 ? 'No version' : 'More than one version'} of ${name} starts with ${version}.`, {
      hint: `See ripcord chutes versions ${name}.`,
    });
  }
  return only.version;
}

function versionRow(item: Version): string[] {
  return [shortVersion(item.version), showTime(item.created_at), item.current === true ? 'serves' : ''];
}

function failureName(error: StartError): string {
  return error.crash_loop === true ? `crash loop (${error.failed_starts ?? 'many'} failed starts in a row)` : 'last failed start';
}

function showChute(chute: Chute): string {
  const about = [
    ['id', chute.chute_id],
    ['who', chute.public === true ? 'public' : 'private'],
    ['version', chute.version ?? '-'],
    ['tagline', chute.tagline ?? ''],
    ...(chute.held_back ? [['held back', `${chute.held_back.code} since ${showTime(chute.held_back.since)}`]] : []),
    ...(chute.last_error ? [[failureName(chute.last_error), `${showTime(chute.last_error.at)} ${chute.last_error.message ?? ''}`]] : []),
  ];
  const rows = chute.instances.map((i) => [i.instance_id, i.state, shortVersion(i.version), printable(i.detail ?? '')]);
  const instances = rows.length === 0 ? 'No instances.' : table(['INSTANCE', 'STATE', 'VERSION', 'DETAIL'], rows);
  return `${table(['name', chute.name], about)}\n\n${instances}`;
}
