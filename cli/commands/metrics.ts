import { Option, type Command } from 'commander';
import type { Metrics } from '../answers.ts';
import { pause, printable, write, type Io } from '../io.ts';
import { chuteName, openSession, type Session } from '../session.ts';
import { showUsd } from '#protocol/usd.ts';
import { shortVersion, showSeconds, showTime, table } from '../show.ts';

/** Milliseconds between two looks of `--watch`. */
const WATCH_MS = 5_000;

interface MetricsOptions {
  window: string;
  by: 'total' | 'version' | 'miner' | 'region';
  watch?: true;
}

export function addMetrics(program: Command, io: Io): void {
  program
    .command('metrics')
    .summary('show how calls of a chute went')
    .description('Shows how the calls of a chute of yours went: errors, retries, times in seconds (p50/p95), cold starts, cost.')
    .argument('<name>', 'owner/name, a name of your own, or an id (cht_…)')
    .addOption(new Option('--window <time>', 'how far back').choices(['5m', '1h', '24h', '7d']).default('1h'))
    .addOption(new Option('--by <what>', 'what the rows are').choices(['total', 'version', 'miner', 'region']).default('total'))
    .option('-w, --watch', 'again every five seconds until Ctrl-C')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord metrics hello --window 24h --by version\n  $ ripcord metrics hello --json | jq .items[0].errors',
    )
    .action(async (name: string, options: MetricsOptions, command: Command) => {
      const session = await openSession(io, command, 'any');
      const full = await chuteName(session, name);
      const query = new URLSearchParams({ window: options.window, by: options.by });
      const look = async () => session.client.metrics(full, query);
      if (options.watch !== true) return tell(session, await look(), options.by);
      for (;;) {
        const metrics = await look();
        // Home, and clear to the end.
        if (io.out.isTTY === true && !session.json) await write(io, io.out, '\u001b[H\u001b[2J');
        await tell(session, metrics, options.by);
        await pause(io, WATCH_MS);
      }
    });
}

async function tell(session: Session, metrics: Metrics, by: MetricsOptions['by']): Promise<void> {
  await session.result(metrics, metricsText(metrics, by));
}

function metricsText({ name, items, from, to, truncated }: Metrics, by: MetricsOptions['by']): string {
  const head = [by.toUpperCase(), 'CALLS', 'FAILED', 'RETRIES', 'COLD', 'QUEUE', 'FIRST BYTE', 'DURATION', 'TOKENS/S', 'USD'];
  const rows = items.map((item) => [
    by === 'total' ? name : by === 'version' ? shortVersion(item.version) : (item[by] ?? '-'),
    ...[item.calls, item.failed, item.retries, item.cold_starts].map(String),
    ...[item.queue_ms, item.first_byte_ms, item.duration_ms].map(({ p50, p95 }) => `${showSeconds(p50)}/${showSeconds(p95)}`),
    item.tokens_per_second.p50?.toFixed(1) ?? '-',
    showUsd(item.cost_nanousd),
  ]);
  const since = `${showTime(from)} to ${showTime(to)}${truncated === true ? ': the newest calls only, there are more' : ''}`;
  const errors = items.flatMap((item) =>
    Object.entries(item.errors).map(([code, n]) => `${n} × ${printable(code)}${by === 'total' ? '' : ` (${printable(item[by] ?? '')})`}`),
  );
  const told = [table(head, rows, head.slice(1)), ...(errors.length === 0 ? [] : [`Errors: ${errors.join(', ')}`]), since];
  return items.length === 0 ? `No calls of ${name} from ${since}.` : told.join('\n\n');
}
