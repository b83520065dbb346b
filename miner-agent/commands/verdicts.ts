/** `ripcord-miner verdicts`: what judges made of this hotkey's challenges, why, what it cost, and how to show that one is wrong. */
import type { Command } from 'commander';
import { printable } from '../../cli/io.ts';
import { showTime, table } from '../../cli/show.ts';
import { usage } from '../../cli/failure.ts';
import { dollarsOfNano } from '../display/text.ts';
import { result, Setting, withShared, type Cli } from './cli.ts';
import { readVerdicts, type MinerVerdict, type MinerVerdicts } from './edge.ts';
import { rateText } from './prove.ts';

/** Of an id, enough to tell it from others. */
const ID_CHARS = 12;

const HELP = `
Everything that a verdict is made of is public. Judge one again yourself, without any key:
  $ ripcord-verify transcript chl_… --api https://edge
If it comes to another verdict than the judge's, that output is your appeal: give it to the judge, and to the operator of the network where
its gate is shut on you. A gate opens by itself when its time is over.
`;

export function addVerdicts(program: Command, cli: Cli): void {
  withShared(program.command('verdicts'))
    .summary('what judges made of your challenges, and what it cost')
    .description("This hotkey's verdicts, newest first: of which challenge, with which reason and evidence, and what it cost.")
    .option('-n, --limit <n>', 'so many at most, 1 to 100', '20')
    .option('--failed', 'only those that did not pass')
    .addHelpText('after', HELP)
    .action(async ({ limit, failed }: { limit: string; failed?: boolean }, command: Command) => {
      const setting = new Setting(command);
      const most = Number(limit);
      if (!Number.isInteger(most) || most < 1 || most > 100) throw usage('usage', '--limit is a whole number from 1 to 100.');
      const edge = setting.edge();
      const page = await readVerdicts(edge);
      const items = page.items.filter((item) => failed !== true || item.outcome !== 'pass').slice(0, most);
      result(cli, setting, { ...page, items }, shown({ ...page, items }, edge.api, cli));
    });
}

function shown({ gated, items }: MinerVerdicts, api: string, { paint }: Cli): string {
  const lines =
    gated === null
      ? []
      : [
          paint(
            'red',
            `Gated until ${showTime(gated.until)}: ${printable(gated.reason)} in ${printable(gated.challenge)}. Paid calls go elsewhere.`,
          ),
          '',
        ];
  if (items.length === 0) return [...lines, 'No verdicts.'].join('\n');
  // Judges that say the same share a row; whole ids are below and in --json.
  const rows = [...Map.groupBy(items, (v) => `${v.id} ${v.reason}`).values()].flatMap((same) => {
    const [v] = same;
    if (v === undefined) return [];
    const time = v.elapsed_ms === null ? '' : `${v.elapsed_ms} ms`;
    return [[shortTime(v.at), v.id.slice(0, ID_CHARS), v.kind, shortTarget(v.target), v.reason, time, v.class ?? '', String(same.length)]];
  });
  lines.push(table(['AT', 'CHALLENGE', 'KIND', 'OF', 'REASON', 'TIME', 'CLASS', 'BY'], rows, ['TIME', 'BY']));
  for (const item of items) if (item.outcome !== 'pass') lines.push('', ...explained(item, api));
  return lines.join('\n');
}

/** A device of this hotkey by its own name, an instance by the begin of its. */
function shortTarget(target: string): string {
  return (target.split('/')[1] ?? target).slice(0, ID_CHARS);
}

/** Without the year: a row has eighty columns. */
function shortTime(at: string | number): string {
  return showTime(at).slice(5, -1);
}

function explained({ id, judge, rate, kind, reason, outcome, text, next, wrong, cost }: MinerVerdict, api: string): string[] {
  const lines = [
    `${printable(id)}  ${printable(reason)} (${printable(outcome)}, by ${printable(judge.slice(0, 8))}): ${printable(text)} ${printable(next)}`,
  ];
  if (wrong !== null) lines.push(`  at ${printable(wrong.at)}: due ${printable(wrong.due)}, given ${printable(wrong.given)}`);
  if (rate !== null) lines.push(`  rate: ${rateText(kind, rate)}`);
  if (cost !== null) {
    const gate = cost.gated_until === null ? '' : `gate shut until ${showTime(cost.gated_until)}; `;
    lines.push(`  cost: ${gate}${dollarsOfNano(cost.forfeited_nanousd)} of pending earnings`);
  }
  lines.push(`  judge it again: ripcord-verify transcript ${printable(id)} --api ${api}`);
  return lines;
}
