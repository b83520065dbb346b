/** `ripcord-miner why`: why there is no work, or no more: counted reasons of the agent here and of the edge, and what to do next. */
import type { Command } from 'commander';
import { foremost, WHY, WHY_CODES } from '#protocol/why.ts';
import type { WhyReason } from '#protocol/why.ts';
import { printable } from '../../cli/io.ts';
import { table } from '../../cli/show.ts';
import type { Status } from '../control/status.ts';
import { MoneyRefused } from '../money/edge.ts';
import { result, Setting, withShared, type Cli } from './cli.ts';
import { readEdgeWhy, type EdgeWhy } from './edge.ts';
import { runningStatus } from './status.ts';

export function addWhy(program: Command, cli: Cli): void {
  withShared(program.command('why'))
    .summary('why there is no work, and what helps')
    .description(
      'Why this machine has no work, or no more: the reasons of the agent here and of the edge, counted, and the next best action.\nWorks whether or not the agent runs.',
    )
    .action(async (_: object, command: Command) => {
      const setting = new Setting(command);
      const status = await runningStatus(setting.dataFolder);
      const { edge, problem } = await askEdge(setting, status);
      const reasons = merged(reasonsHere(status), edge?.reasons ?? []);
      const first = foremost(reasons);
      const value = {
        running: status !== null,
        foremost: first,
        next: first === null ? null : WHY[first].next,
        reasons: reasons.map((reason) => ({ ...reason, ...WHY[reason.code] })),
        edge: problem === null ? 'answered' : problem,
      };
      result(cli, setting, value, whyText(reasons, problem, cli));
    });
}

/** Chutes named per reason. */
const CHUTES = 5;

/** What the agent itself knows. */
export function reasonsHere(status: Status | null): WhyReason[] {
  const own = (code: WhyReason['code']): WhyReason => ({ code, count: 1, chutes: [] });
  if (status === null) return [own('not_connected')];
  return [...(status.link.state === 'up' ? [] : [own('not_connected')]), ...(status.draining ? [own('leaving')] : []), ...status.reasons];
}

/** Both see the same offers: where the agent here says a code, its count is the newer one. In the order of the codes. */
export function merged(here: readonly WhyReason[], edge: readonly WhyReason[]): WhyReason[] {
  return WHY_CODES.flatMap((code) => {
    const [newest, ...others] = [...here, ...edge].filter((reason) => reason.code === code);
    if (newest === undefined) return [];
    const chutes = new Set([...newest.chutes, ...others.flatMap((r) => r.chutes)]);
    return [{ code, count: newest.count, chutes: [...chutes].slice(0, CHUTES) }];
  });
}

/** An edge that does not answer is told beside what is known here; without an agent it is all there is. */
async function askEdge(setting: Setting, status: Status | null): Promise<{ edge: EdgeWhy | null; problem: string | null }> {
  if (status !== null && (setting.raw.api === undefined || setting.raw.hotkey === undefined)) return { edge: null, problem: 'not asked' };
  try {
    return { edge: await readEdgeWhy(setting.edge(), setting.name), problem: null };
  } catch (error) {
    if (!(error instanceof MoneyRefused)) throw error;
    return { edge: null, problem: error.message };
  }
}

function whyText(reasons: readonly WhyReason[], problem: string | null, { paint }: Cli): string {
  const first = foremost(reasons);
  const lines = first === null ? ['Nothing keeps it from work.'] : [paint('bold', sentence(WHY[first].text)), `Next: ${WHY[first].next}`];
  const rows = reasons.map(({ code, count, chutes }) => [String(count), code, WHY[code].text, chutes.join(', ')]);
  if (rows.length > 0) lines.push('', table(['COUNT', 'CODE', 'WHY', 'CHUTES'], rows, ['COUNT']));
  if (problem !== null && problem !== 'not asked') lines.push('', paint('yellow', `The edge: ${printable(problem)}`));
  return lines.join('\n');
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
