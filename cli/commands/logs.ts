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
    .summary('show what instances wrote')
    .description('Shows what the instances of a chute of yours wrote.')
    .argument('<name>', 'owner/name, a name of your own, or an id (cht_…)')
    .option('-f, --follow', 'go on with new lines until Ctrl-C')
    .addHelpText('after', '\nExample:\n  $ ripcord logs hello -f\n  $ ripcord logs hello --json | jq -r .text')
    .action(async (name: string, options: { follow?: true }, command: Command) => {
      const session = await openSession(io, command, 'any');
      const full = await chuteName(session, name);
      if (options.follow === true) await follow(session, full);
      else {
        for await (const line of session.client.logs(full, false)) await show(session, line);
        await noteLoop(session, full);
      }
    });
}

/** After the lines: that nothing will come of waiting. The lines are what was asked for: nothing is said where it cannot be known. */
async function noteLoop(session: Session, name: string): Promise<void> {
  const chute = session.json ? null : await session.client.chute(name).catch(unlessInterrupted);
  const error = chute?.last_error;
  if (error?.crash_loop !== true) return;
  const text = `crash loop: ${error.failed_starts ?? 'many'} starts in a row failed; the last one: ${printable(error.message || 'no reason given')}`;
  await session.note(paint(session.io, session.io.err, 'red', text));
}

function unlessInterrupted(error: unknown): null {
  if (error instanceof Failure && error.exit !== EXIT.interrupted) return null;
  throw error;
}

/** Lines as they come, over lost connections. */
async function follow(session: Session, name: string): Promise<never> {
  const shown = new Shown();
  for (let lost = 0; ; lost += 1) {
    try {
      for await (const line of session.client.logs(name, true)) {
        if (!shown.isNew(line)) continue;
        lost = 0;
        await show(session, line);
      }
    } catch (error) {
      if (!(error instanceof Failure) || error.exit !== EXIT.unreachable || shown.empty || lost + 1 >= MAX_LOST) throw error;
    }
    await pause(session.io, Math.min(250 * 2 ** lost, 5000));
  }
}

/** What was shown of each instance. A line of the service itself has the number of the instance's line that comes after it. */
class Shown {
  readonly #last = new Map<string, { place: number; edge: string }>();

  get empty(): boolean {
    return this.#last.size === 0;
  }

  isNew(line: LogLine): boolean {
    const edge = line.source === 'edge' ? `${line.at} ${line.text}` : '';
    const place = 2 * line.seq + (edge === '' ? 1 : 0);
    const last = this.#last.get(line.instance_id);
    if (last !== undefined && (place < last.place || (place === last.place && edge === last.edge))) return false;
    this.#last.delete(line.instance_id);
    this.#last.set(line.instance_id, { place, edge });
    const oldest = this.#last.keys().next();
    if (this.#last.size > MAX_INSTANCES && oldest.done !== true) this.#last.delete(oldest.value);
    return true;
  }
}

async function show(session: Session, line: LogLine): Promise<void> {
  const { io } = session;
  if (session.json) return write(io, io.out, `${JSON.stringify(line)}\n`);
  const at = new Date(line.at);
  const time = Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(11, 23);
  const head = paint(
    io,
    io.out,
    line.source === 'err' ? 'yellow' : 'dim',
    `${time} ${printable(line.instance_id).slice(0, 12)} ${printable(line.source)}`,
  );
  return write(io, io.out, `${head} ${printable(line.text)}\n`);
}
