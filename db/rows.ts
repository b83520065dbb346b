/** The rows of a raw statement: drivers wrap them differently. */
export function rowsOf(result: unknown): Record<string, unknown>[] {
  if (Array.isArray(result)) return result as Record<string, unknown>[];
  return (result as { rows: Record<string, unknown>[] }).rows;
}

/** What the only column of the only row holds. */
export function answerOf(result: unknown): unknown {
  return Object.values(rowsOf(result)[0] ?? {})[0];
}

/** JSON with every `bigint` as decimal text, so that no digit is lost on the way. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? v.toString() : v));
}
