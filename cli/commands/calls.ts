import type { Command } from 'commander';
import type { Call } from '../answers.ts';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { openSession } from '../session.ts';
import { showUsd } from '#protocol/usd.ts';
import { shortVersion, showSeconds, showTime, table } from '../show.ts';

export function addCalls(program: Command, io: Io): void {
  program
    .command('calls')
    .summary('list calls, or tell the whole story of one')
    .description('Lists the latest calls of the account, or tells the whole story of one: attempts, miners, times, tokens, money.')
    .argument('[id]', 'a call’s id, as X-Request-Id of its reply tells it')
    .option('--limit <n>', 'how many, up to 200', '20')
    .addHelpText('after', '\nExample:\n  $ ripcord calls\n  $ ripcord calls 019ab3c0-0000-7000-8000-000000000000 --json')
    .action(async (id: string | undefined, options: { limit: string }, command: Command) => {
      const limit = Number(options.limit);
      if (!Number.isInteger(limit) || limit < 1 || limit > 200)
        throw usage('invalid_limit', `${options.limit} is not a number from 1 to 200.`);
      const session = await openSession(io, command, 'any');
      if (id !== undefined) {
        const call = await session.client.call(id);
        return session.result(call, callText(call));
      }
      const items = await session.client.calls(limit);
      const head = ['CALL', 'OPENED', 'CHUTE', 'STATE', 'CODE', 'ATTEMPTS', 'USD'];
      const rows = items.map((call) => [
        call.call_id,
        showTime(call.opened_at),
        call.chute_id,
        call.state,
        call.code ?? '',
        String(call.attempts.length),
        showUsd(call.cost_nanousd),
      ]);
      return session.result({ items }, items.length === 0 ? 'No calls.' : table(head, rows, ['ATTEMPTS', 'USD']));
    });
}

function callText(call: Call): string {
  const about = [
    ['state', [call.state, call.code ?? ''].filter((word) => word !== '').join(': ')],
    ['chute', call.chute_id],
    ['version', shortVersion(call.version)],
    ['key', call.key_id || '-'],
    ['opened', showTime(call.opened_at)],
    ['closed', showTime(call.closed_at)],
    ['price version', call.price_version ?? '-'],
    ['held', showUsd(call.hold_nanousd)],
    ['cost', showUsd(call.cost_nanousd)],
  ];
  const head = ['#', 'MINER', 'REGION', 'OUTCOME', 'STATUS', 'WAITED', 'FIRST BYTE', 'LAST BYTE', 'IN', 'CACHED', 'OUT', 'USD'];
  const rows = call.attempts.map((attempt) => [
    String(attempt.attempt),
    attempt.miner_hotkey ?? '-',
    attempt.region || '-',
    [attempt.outcome, attempt.code ?? ''].filter((word) => word !== '').join(': '),
    ...[attempt.status].map((n) => String(n ?? '-')),
    ...[attempt.waited_ms, attempt.first_byte_ms, attempt.last_byte_ms].map(showSeconds),
    ...[attempt.tokens_in, attempt.cached_in, attempt.tokens_out].map((n) => String(n ?? '-')),
    showUsd(attempt.cost_nanousd),
  ]);
  const attempts = rows.length === 0 ? 'No attempts.' : table(head, rows, head.slice(5));
  return `${table(['call', call.call_id], about)}\n\n${attempts}`;
}
