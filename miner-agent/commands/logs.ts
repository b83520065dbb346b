/** `ripcord-miner logs`: what instances here print, from their first line on. */
import type { Command } from 'commander';
import * as z from 'zod/mini';
import { printable } from '../../cli/io.ts';
import { followAgent } from '../control/client.ts';
import { Setting, withShared, type Cli } from './cli.ts';

const lineSchema = z.object({
  instance: z.string(),
  name: z.string(),
  at: z.number(),
  source: z.enum(['out', 'err', 'agent']),
  text: z.string(),
});

export function addLogs(program: Command, cli: Cli): void {
  withShared(program.command('logs'))
    .summary('what the instances here print')
    .description(
      'Output of the instances of the running agent, from the first line of their start on, those that failed included.\nThe first 200 and the newest 1,000 lines of each are kept.',
    )
    .argument('[instance]', 'an instance, the start of its id, or owner/name; all if nothing is said')
    .option('-f, --follow', 'and what comes, until Ctrl-C')
    .action(async (instance: string | undefined, options: { follow?: boolean }, command: Command) => {
      const setting = new Setting(command);
      const query = new URLSearchParams({
        ...(options.follow === true ? { follow: '1' } : {}),
        ...(instance === undefined ? {} : { instance }),
      });
      for await (const line of followAgent(setting.dataFolder, `/logs?${query.toString()}`, lineSchema, cli.signal))
        cli.write(setting.json ? `${JSON.stringify(line)}\n` : `${lineText(line, cli)}\n`);
    });
}

function lineText({ at, instance, name, source, text }: z.infer<typeof lineSchema>, { paint }: Cli): string {
  const who = `${new Date(at).toISOString().slice(11, 19)} ${name === '' ? '' : `${name} `}${instance.slice(0, 12)}`;
  const said = printable(text);
  return `${paint('dim', who)} ${source === 'agent' ? paint('yellow', `· ${said}`) : said}`;
}
