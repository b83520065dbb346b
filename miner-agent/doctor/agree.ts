/**
 * No check says PASS where the edge, or the agent that runs here, says otherwise: what they name as a cause becomes the finding of the
 * check that answers for it. A finding that is bad already is left as it is, for it says more.
 */
import { WHY, type WhyCode, type WhyReason } from '#protocol';
import { CHECKS, HARMLESS } from './checks.ts';
import type { Facts } from './facts.ts';
import { because, type Check } from './finding.ts';

/** Causes that somebody has to mend; the others are told. */
const BROKEN: readonly WhyCode[] = [
  'not_connected',
  'old_version',
  'wrong_clock',
  'socket_cut',
  'refused',
  'engine_down',
  'toolkit_unsafe',
  'disk_full',
  'engine_unhealthy',
];

export function agree(checks: readonly Check[], { edge, status }: Pick<Facts, 'edge' | 'status'>): Check[] {
  const said = [
    ...(status?.reasons ?? []).map((reason) => ({ reason, who: 'the running agent' })),
    ...(edge?.reasons ?? []).map((reason) => ({ reason, who: 'the edge' })),
  ];
  // An agent that is connected by its own word and is not by the edge's is not.
  if (edge?.connected === false && status !== null)
    said.unshift({ reason: { code: 'not_connected', count: 1, chutes: [] }, who: 'the edge' });
  return said.reduce<Check[]>((all, { reason, who }) => all.map((check) => corrected(check, reason, who)), [...checks]);
}

function corrected(check: Check, reason: WhyReason, who: string): Check {
  const answers = CHECKS.find((rule) => rule.id === check.id)?.codes ?? [];
  const good = check.status === 'PASS' || check.status === 'SKIP';
  if (!good || !answers.includes(reason.code) || HARMLESS.includes(reason.code)) return check;
  const named = reason.chutes.length === 0 ? '' : ` (${reason.chutes.join(', ')})`;
  const status = BROKEN.includes(reason.code) ? 'FAIL' : 'WARN';
  return { id: check.id, ...because(status, reason.code, `${WHY[reason.code].text}${named}, says ${who}`) };
}
