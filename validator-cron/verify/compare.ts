/** The first place where two values differ (pure), in the order of canonical text, so that everybody is told the same one. */
import { canonicalJson } from '#protocol/canonical.ts';
import type { Difference } from './outcome.ts';

const TEXT = 160;

/** Null: they are the same. `at` is the path from `name`. */
export function firstDifference(name: string, due: unknown, given: unknown): Difference | null {
  if (canonicalJson(due ?? null) === canonicalJson(given ?? null)) return null;
  const [a, b] = [membersOf(due), membersOf(given)];
  if (a === null || b === null || Array.isArray(due) !== Array.isArray(given)) return { at: name, due: short(due), given: short(given) };
  for (const key of keysOf(a, b)) {
    const found = firstDifference(`${name}.${key}`, a[key], b[key]);
    if (found !== null) return found;
  }
  return null;
}

/** Lists whose items have names: told by the name, so that one that is left out does not shift all that follow. */
export function firstNamed<T>(name: string, keyOf: (item: T) => string, due: readonly T[], given: readonly T[]): Difference | null {
  const [a, b] = [due, given].map((items) => new Map(items.map((item) => [keyOf(item), item])));
  for (const key of [...new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])].toSorted()) {
    const found = firstDifference(`${name} ${key}`, a?.get(key), b?.get(key));
    if (found !== null) return found;
  }
  return null;
}

function membersOf(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : null;
}

/** Places of a list by number, names by text. */
function keysOf(a: Record<string, unknown>, b: Record<string, unknown>): string[] {
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.toSorted((x, y) => (isPlace(x) && isPlace(y) ? Number(x) - Number(y) : x < y ? -1 : 1));
}

function isPlace(key: string): boolean {
  return /^[0-9]+$/.test(key);
}

function short(value: unknown): string {
  const text = value === undefined ? 'nothing' : canonicalJson(value);
  return text.length <= TEXT ? text : `${text.slice(0, TEXT)}…`;
}
