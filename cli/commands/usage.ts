import { Option, type Command } from 'commander';
import type { Usage } from '../answers.ts';
import { usage as wrongUse } from '../failure.ts';
import { paint, write, type Io } from '../io.ts';
import { openSession } from '../session.ts';
import { showUsd } from '#protocol/usd.ts';
import { table } from '../show.ts';

/** Characters of the longest bar. */
const BAR = 24;

interface UsageOptions {
  by: 'chute' | 'key' | 'day' | 'call';
  from?: string;
  to?: string;
  csv?: true;
}

export function addUsage(program: Command, io: Io): void {
  program
    .command('usage')
    .summary('show what calls came to')
    .description('Shows what the calls of the account came to: by chute, key or day (UTC); as CSV also call by call. At most 92 days.')
    .addOption(new Option('--by <what>', 'what the rows are').choices(['chute', 'key', 'day', 'call']).default('day'))
    .option('--from <when>', 'first day, or a time (else 30 days)')
    .option('--to <when>', 'last day, or a time (else now)')
    .option('--csv', 'as CSV on stdout, for spreadsheets')
    .addHelpText('after', '\nExample:\n  $ ripcord usage --by chute --from 2026-11-01\n  $ ripcord usage --by call --csv > november.csv')
    .action((options: UsageOptions, command: Command) => show(options, command, io));
}

async function show(options: UsageOptions, command: Command, io: Io): Promise<void> {
  const session = await openSession(io, command, 'any');
  const { by, from, to } = options;
  const query = new URLSearchParams({ by, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) });
  if (options.csv === true) {
    for await (const page of session.client.usageCsv(query)) await write(io, io.out, page);
    return;
  }
  if (by === 'call') throw wrongUse('usage', 'Calls one by one come as CSV.', { hint: 'Add --csv, or see ripcord calls.' });
  const report = await session.client.usage(query);
  await session.result(report, reportText(report, by, io));
}

function reportText({ items, total, truncated }: Usage, by: 'chute' | 'key' | 'day', io: Io): string {
  if (items.length === 0) return 'No calls.';
  const head = [by.toUpperCase(), 'CALLS', 'ERRORS', 'IN', 'CACHED', 'OUT', 'SECONDS', 'USD'];
  const row = (name: string, sum: Usage['items'][number] | NonNullable<Usage['total']>) => [
    name,
    ...[sum.calls, sum.errors, sum.tokens_in, sum.cached_in, sum.tokens_out].map(String),
    sum.seconds.toFixed(1),
    showUsd(sum.cost_nanousd),
  ];
  const rows = items.map((item) => row(item.name || (item.day ?? item.chute_id ?? item.key_id) || '-', item));
  if (total) rows.push(row('total', total));
  const lines = table(head, rows, head.slice(1)).split('\n');
  const bars = io.out.isTTY === true ? barsOf(items.map((item) => BigInt(item.cost_nanousd))) : [];
  const text = lines.map((line, i) => (bars[i - 1] ? `${line}  ${paint(io, io.out, 'cyan', bars[i - 1] ?? '')}` : line)).join('\n');
  return truncated === true ? `${text}\n\nOnly the ${items.length} that cost most are shown; the total is of all.` : text;
}

/** As long as each is of the greatest. */
function barsOf(costs: readonly bigint[]): string[] {
  const most = costs.reduce((a, b) => (a > b ? a : b), 0n);
  return costs.map((cost) => (most === 0n ? '' : '█'.repeat(Number((cost * BigInt(BAR) + most - 1n) / most))));
}
