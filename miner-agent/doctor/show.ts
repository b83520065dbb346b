/** The checks for people: a line each, and below those that are not good what to do. */
import { printable } from '../../cli/io.ts';
import type { Paint } from '../commands/cli.ts';
import type { Check, CheckStatus } from './finding.ts';

const STYLE = { PASS: 'green', WARN: 'yellow', FAIL: 'red', SKIP: 'dim' } as const satisfies Record<CheckStatus, Parameters<Paint>[0]>;

export function checksText(checks: readonly Check[], paint: Paint): string {
  const width = Math.max(...checks.map((check) => check.id.length));
  const lines = checks.flatMap(({ id, status, cause, fix }) => [
    `${paint(STYLE[status], status)}  ${id.padEnd(width)}  ${printable(cause)}`,
    ...(fix === '' || status === 'PASS' ? [] : [`${' '.repeat(width + 8)}${paint('bold', '→')} ${printable(fix)}`]),
  ]);
  return [...lines, '', summary(checks)].join('\n');
}

function summary(checks: readonly Check[]): string {
  const count = (status: CheckStatus) => checks.filter((check) => check.status === status).length;
  const [failed, warned] = [count('FAIL'), count('WARN')];
  if (failed + warned === 0) return 'Nothing is wrong.';
  return `${failed} failed, ${warned} to look at.`;
}
