import type { Command } from 'commander';
import type { CallWhy } from '../answers.ts';
import { usage } from '../failure.ts';
import { printable, type Io } from '../io.ts';
import { openSession } from '../session.ts';
import { showSeconds, showTime, table } from '../show.ts';

export function addWhy(program: Command, io: Io): void {
  program
    .command('why')
    .summary('tell why a call waits, or how it ended')
    .description('Tells why a call of the account waits, what serves it, or what became of it, and what helps.')
    .argument('<call>', 'a call’s id, as X-Request-Id of its reply tells it, or ripcord calls')
    .addHelpText('after', '\nExample:\n  $ ripcord why 019ab3c0-0000-7000-8000-000000000000')
    .action(async (id: string, _options: object, command: Command) => {
      if (!/^[0-9a-fA-F-]{36}$/.test(id))
        throw usage('invalid_call', `${printable(id)} is not the id of a call.`, { hint: 'ripcord calls lists them.' });
      const session = await openSession(io, command, 'any');
      const why = await session.client.callWhy(id);
      await session.result(why, whyText(why));
    });
}

function whyText(why: CallWhy): string {
  const place =
    why.position === null || why.position === undefined
      ? ''
      : `, place ${why.position}${typeof why.eta_ms === 'number' ? `, about ${showSeconds(why.eta_ms)} s to go` : ''}`;
  const about = [
    ['state', `${why.state}${place}`],
    ['since', showTime(why.since)],
    ...(typeof why.waited_ms === 'number' ? [['waited', `${showSeconds(why.waited_ms)} s`]] : []),
  ];
  const reasons = table(
    ['REASON', 'COUNT', ''],
    why.reasons.map((it) => [it.code, String(it.count), it.text]),
    ['COUNT'],
  );
  const next = why.next ? `\n\nNext: ${printable(why.next.text)}.` : '';
  return `${table(['call', why.call], about)}\n\n${reasons}${next}`;
}
