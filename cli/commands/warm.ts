import { InvalidArgumentError, type Command } from 'commander';
import type { Warm } from '../answers.ts';
import { EXIT, Failure } from '../failure.ts';
import { paint, pause, printable, write, type Io } from '../io.ts';
import { chuteName, openSession, type Session } from '../session.ts';

/** Connections lost in a row before it gives up. */
const MAX_LOST = 5;

interface Options {
  for?: number;
  wait: boolean;
}

export function addWarm(program: Command, io: Io): void {
  program
    .command('warm')
    .summary('have an instance started before the first call')
    .description(
      'Asks for one instance of a chute and waits until it serves, telling how far it is.\n' +
        'A chute of another account is kept for as long as a call would keep it.',
    )
    .argument('<name>', 'owner/name, a name of your own, or an id (cht_…)')
    .option('--for <seconds>', 'how long to keep it without calls, 30 to 3600 (else idle_after of the chute)', seconds)
    .option('--no-wait', 'ask, and return at once')
    .addHelpText('after', '\nExample:\n  $ ripcord warm demo/chat\n  $ ripcord warm hello --for 1800 --no-wait')
    .action(async (name: string, options: Options, command: Command) => {
      const session = await openSession(io, command, 'any');
      const full = await chuteName(session, name);
      const asked = await session.client.warm(full, options.for ?? null);
      if (!options.wait) return session.result(asked, `${printable(asked.name)}: ${said(asked)}`);
      const ready = await follow(session, full, asked);
      await session.result(ready, paint(io, io.out, 'green', `${printable(ready.name)} is ready.`));
    });
}

/** Tells each change; ends when it is ready. Throws a `Failure` with the error when it fails, or when the service ends the wait. */
async function follow(session: Session, name: string, first: Warm): Promise<Warm> {
  const line = new StatusLine(session);
  let last = first;
  for (let lost = 0; ; lost += 1) {
    try {
      for await (const now of session.client.warming(name)) {
        lost = 0;
        last = now;
        await line.show(said(now));
        if (now.phase === 'ready') return now;
        if (now.phase === 'failed') throw failed(name, now);
      }
      throw new Failure(EXIT.refused, 'not_ready_yet', `${name} is not ready yet: ${said(last)}`, {
        hint: `It goes on: ripcord warm ${name} looks again.`,
      });
    } catch (error) {
      if (!(error instanceof Failure) || error.exit !== EXIT.unreachable || lost + 1 >= MAX_LOST) throw error;
    } finally {
      await line.end();
    }
    await pause(session.io, Math.min(250 * 2 ** lost, 5000));
  }
}

function said({ log, detail, progress, phase }: Warm): string {
  const bar = progress === null || progress === undefined || detail.includes('%') ? '' : ` (${Math.round(progress * 100)} %)`;
  return printable(`${phase}: ${log || detail}${bar}`).replaceAll('\n', ' ');
}

function failed(name: string, { last_error: error }: Warm): Failure {
  const loop = error?.crash_loop === true ? 'is in a crash loop' : 'does not start';
  return new Failure(EXIT.refused, 'start_failing', `${name} ${loop}: ${error?.message || 'only its owner sees why'}`, {
    hint: `ripcord logs ${name} shows what it wrote.`,
    extra: { failed_starts: error?.failed_starts ?? null, crash_loop: error?.crash_loop ?? false },
  });
}

/** On a terminal one line that changes, elsewhere a line per change; nothing with `--json`. */
class StatusLine {
  readonly #session: Session;
  #open = false;

  constructor(session: Session) {
    this.#session = session;
  }

  async show(text: string): Promise<void> {
    const { io, note, json } = this.#session;
    if (json || io.err.isTTY !== true) return note(text);
    // Back to the start of the line, and clear it.
    await write(io, io.err, `\r\u001b[2K${text.slice(0, 100)}`);
    this.#open = true;
  }

  async end(): Promise<void> {
    if (this.#open) await write(this.#session.io, this.#session.io.err, '\n');
    this.#open = false;
  }
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 30 || value > 3_600)
    throw new InvalidArgumentError('It is a whole number of seconds from 30 to 3600.');
  return value;
}
