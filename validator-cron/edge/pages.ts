/** Lists of the edge come in pages. */

export interface Page<T, K> {
  items: T[];
  next: K | null;
}

/** All pages up to a bound, which a well-behaved edge never reaches. */
export async function allPages<T, K extends string | number>(most: number, read: (after: K | null) => Promise<Page<T, K>>): Promise<T[]> {
  const items: T[] = [];
  let after: K | null = null;
  for (let page = 0; page < most; page++) {
    const reply: Page<T, K> = await read(after);
    items.push(...reply.items);
    if (reply.next === null || reply.next === after) break;
    after = reply.next;
  }
  return items;
}

export function parts<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
