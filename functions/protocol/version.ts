/**
 * Versions of the wire. A change of a schema changes the hash that `test/unit/protocol` pins beside the version; then either
 * the change is additive and both sides read both forms, or the version goes up and the last one stays served.
 *
 *   1  2026-11  first
 */
export const PROTOCOL_VERSIONS = [1] as const;

/** The newest version both sides speak, or null. */
export function chooseVersion(offered: readonly number[], served: readonly number[] = PROTOCOL_VERSIONS): number | null {
  const common = offered.filter((v) => served.includes(v));
  return common.length === 0 ? null : Math.max(...common);
}
