import type { Command } from 'commander';
import type { LogLine } from '../answers.ts';
import { EXIT, Failure } from '../failure.ts';
import { paint, pause, printable, write, type Io } from '../io.ts';
import { chuteName, openSession, type Session } from '../session.ts';

/** Connections lost in a row before following ends. */
const MAX_LOST = 5;
/** Instances whose last line is remembered, so that no line is shown twice after a reconnect. */
const MAX_INSTANCES = 1024;

export function addLogs(program: Command, io: Io): void {
  program
    .command('logs')
    .description('Shows what the instances of a chute of yours wrote.')
    .argument('<name>', 'owner/name, a name of your own, or an id (cht_…)')
    .option('-f, --follow', 'go on with new lines until Ctrl-C')
    .addHelpText('after', '\nExample:\n  $ ripcord logs hello -f\n  $ ripcord logs hello --json | jq -r .text')
    .action(async (name: string, options: { follow?: true }, command: Command) => {
      const session = await openSession(io, command, 'any');
      const full = await chuteName(session, name);
      if (options.follow === true) await follow(session, full);
      else for await (const line of session.client.logs(full, false)) await show(session, line);
    });
}

/** Lines as they come, over lost connections. */
async function follow(session: Session, name: string): Promise<never> {
  const last = new Map<string, number>();
  for (let lost = 0; ; lost += 1) {
    try {
      for await (const line of session.client.logs(name, true)) {
        if (line.seq <= (last.get(line.instance_id) ?? -1)) continue;
        remember(last, line);
        lost = 0;
        await show(session, line);
      }
    } catch (error) {
      if (!(error instanceof Failure) || error.exit !== EXIT.unreachable || last.size === 0 || lost + 1 >= MAX_LOST) throw error;
    }
    await pause(session.io, Math.min(250 * 2 ** lost, 5000));
  }
}

function remember(last: Map<string, number>, line: LogLine): void {
  last.delete(line.instance_id);
  last.set(line.instance_id, line.seq);
  const oldest = last.keys().next();
  if (last.size > MAX_INSTANCES && oldest.done !== true) last.delete(oldest.value);
}

async function show(session: Session, line: LogLine): Promise<void> {
  const { io } = session;
  if (session.json) return write(io, io.out, `${JSON.stringify(line)}\n`);
  const at = new Date(line.at);
  const time = Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(11, 23);
  const head = paint(io, io.out, line.source === 'err' ? 'yellow' : 'dim', `${time} ${printable(line.instance_id).slice(0, 12)} ${printable(line.source)}`);
  return write(io, io.out, `${head} ${printable(line.text)}\n`);
}
