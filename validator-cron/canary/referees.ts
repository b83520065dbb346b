/** Who is asked beside a suspect (pure): instances of the same version by others, in an order that the beacon draws. */
import type { AuditAgent, AuditInstance } from '#protocol/audit.ts';
import { rankOf } from '../rank.ts';

export interface Referee {
  instance: AuditInstance;
  entity: string;
}

/** One to compare with, two to confirm. */
export const REFEREES = 3;

/** At most `REFEREES`, each of another entity and none of the suspect's. `entityOf`: who is behind a hotkey. */
export function referees(
  agents: readonly AuditAgent[],
  suspect: { instance: AuditInstance; hotkey: string },
  draw: { beacon: string; entityOf: (hotkey: string) => string },
): Referee[] {
  const entity = draw.entityOf(suspect.hotkey);
  const ranked = agents
    .flatMap(({ hotkey, instances }) => instances.map((instance) => ({ instance, entity: draw.entityOf(hotkey) })))
    .filter((r) => r.entity !== entity && r.instance.chute === suspect.instance.chute && r.instance.version === suspect.instance.version)
    .map((referee) => ({ referee, rank: rankOf(draw.beacon, `referee ${suspect.instance.instance}`, referee.instance.instance) }))
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1));
  const taken = new Map<string, Referee>();
  for (const { referee } of ranked) if (!taken.has(referee.entity)) taken.set(referee.entity, referee);
  return [...taken.values()].slice(0, REFEREES);
}
