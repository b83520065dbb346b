/**
 * Versions of the wire. A change of a schema changes the hash that `test/unit/protocol` pins beside the version; then either
 * the change is additive and both sides read both forms, or the version goes up and the last one stays served.
 *
 *   1  2026-11  first; served until 2027-06-30
 *   2  2026-11  sealed secrets and bounties in grants, `idle`, refusals `others_first`, `not_yet`, `unpaid`;
 *               challenges: `challenge`, `commit`, `sample`, `decline`
 */
export const PROTOCOL_VERSIONS = [2, 1] as const;

/** When a version is served no more (unix ms, at the end of the day above), and the newest agent there is. */
export const SERVED_UNTIL: Readonly<Record<number, number>> = { 1: 1_814_400_000_000 };
export const NEWEST_AGENT = '0.2.0';

/** The newest version both sides speak, or null. */
export function chooseVersion(offered: readonly number[], served: readonly number[] = PROTOCOL_VERSIONS): number | null {
  const common = offered.filter((v) => served.includes(v));
  return common.length === 0 ? null : Math.max(...common);
}
