/** The name that was probably meant. */

/** Edits (insert, delete, replace, swap of neighbours) between two names. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** The closest of `names`, if it is close enough to be a slip: the start of a name, or a third of the letters (two at least) wrong. */
export function nearest(name: string, names: readonly string[]): string | null {
  const wanted = plain(name).slice(0, 64);
  const longer = wanted.length < 3 ? undefined : names.find((candidate) => plain(candidate).startsWith(`${wanted}_`));
  if (longer !== undefined) return longer;
  let best: { name: string; distance: number } | null = null;
  for (const candidate of names) {
    const distance = editDistance(wanted, plain(candidate));
    if (best === null || distance < best.distance) best = { name: candidate, distance };
  }
  if (best === null) return null;
  const allowed = Math.max(2, Math.floor(wanted.length / 3));
  return best.distance <= allowed && best.distance < best.name.length ? best.name : null;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll('-', '_');
}
