import type { Command } from 'commander';
import type { Secret } from '../answers.ts';
import { EXIT, Failure } from '../failure.ts';
import type { Io } from '../io.ts';
import { readSecret, type SecretSource } from '../secret-input.ts';
import { chuteName, openSession } from '../session.ts';
import { showTime, table } from '../show.ts';

const LATER = 'Instances that start from now on have it; deploy a change to replace those that run.';

export function addSecrets(program: Command, io: Io): void {
  const secrets = program
    .command('secrets')
    .summary('set what a chute must know and nobody may read')
    .description(
      'Sets, lists and deletes secrets of chutes. A program gets them as variables of its environment; nobody can read them back.\n' +
        'A value comes from a prompt, a pipe, a file or a variable, never from the command line.',
    )
    .addHelpText('after', '\nExample:\n  $ ripcord secrets set hello HF_TOKEN\n  $ ripcord secrets list hello');
  secrets
    .command('set')
    .description('Sets a secret, or replaces it. The chute need not be deployed yet.')
    .argument('<chute>', 'a name of your own, or an id (cht_…)')
    .argument('<key>', 'the variable the program gets')
    .option('--from-file <file>', 'take the value from a file, to the last byte')
    .option('--from-env <name>', 'take the value from a variable of this environment')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord secrets set hello HF_TOKEN                     # asks, without echo\n  $ pass show hf | ripcord secrets set hello HF_TOKEN\n  $ ripcord secrets set hello HF_TOKEN --from-env HF_TOKEN',
    )
    .action(async (chute: string, key: string, source: SecretSource, command: Command) => {
      const session = await openSession(io, command, 'any');
      const purpose = await chuteName(session, chute);
      const value = await readSecret(io, `Value of ${key}`, source);
      const made = await session.client.setSecret({ purpose, key, value });
      await session.result(made, `${key} of ${made.purpose} is set. ${LATER}`);
    });
  secrets
    .command('registry')
    .description('Sets what images of a private registry are pulled with.')
    .argument('<chute>', 'a name of your own, or an id (cht_…)')
    .argument('<server>', 'the registry, as ghcr.io or registry.example.com:5000')
    .requiredOption('--username <name>', 'who pulls')
    .option('--from-file <file>', 'take the password from a file, to the last byte')
    .option('--from-env <name>', 'take the password from a variable of this environment')
    .addHelpText('after', '\nExample:\n  $ pass show ghcr | ripcord secrets registry hello ghcr.io --username alice')
    .action(async (chute: string, server: string, options: SecretSource & { username: string }, command: Command) => {
      const session = await openSession(io, command, 'any');
      const purpose = await chuteName(session, chute);
      const password = await readSecret(io, `Password of ${options.username} at ${server}`, options);
      const value = { username: options.username, password };
      const made = await session.client.setSecret({ purpose, kind: 'registry', key: server, value });
      await session.result(made, `${made.purpose} pulls from ${server} as ${options.username}. ${LATER}`);
    });
  secrets
    .command('list')
    .description('Lists secrets: their names, never what they hold.')
    .argument('[chute]', 'a name of your own, or an id (cht_…); else all chutes')
    .addHelpText('after', '\nExample:\n  $ ripcord secrets list\n  $ ripcord secrets list hello --json')
    .action(async (chute: string | undefined, _options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const items = await session.client.secrets(chute === undefined ? null : await chuteName(session, chute));
      items.sort((a, b) => order(a).localeCompare(order(b)));
      const rows = items.map((item) => [item.purpose, item.kind, item.key, showTime(item.created_at), showTime(item.updated_at)]);
      await session.result({ items }, items.length === 0 ? 'There are none.' : table(['CHUTE', 'KIND', 'KEY', 'MADE', 'SET'], rows));
    });
  secrets
    .command('delete')
    .description('Deletes a secret. Instances that run keep it until they end.')
    .argument('<chute>', 'a name of your own, or an id (cht_…)')
    .argument('<key>', 'the variable, or the registry')
    .addHelpText('after', '\nExample:\n  $ ripcord secrets delete hello HF_TOKEN\n  $ ripcord secrets delete hello ghcr.io')
    .action(async (chute: string, key: string, _options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const name = await chuteName(session, chute);
      const found = (await session.client.secrets(name)).find((item) => item.key === key);
      if (found === undefined)
        throw new Failure(EXIT.refused, 'not_found', `${name} has no secret ${key}.`, {
          hint: `ripcord secrets list ${chute} shows what it has.`,
        });
      await session.client.deleteSecret(found.secret_id);
      await session.result(
        { secret_id: found.secret_id, deleted: true },
        `${key} of ${found.purpose} is deleted. Instances that run keep it until they end.`,
      );
    });
}

function order({ purpose, kind, key }: Secret): string {
  return `${purpose} ${kind} ${key}`;
}
