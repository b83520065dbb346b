/** Wildcards, in time that grows with pattern × text and never faster, whatever a pattern holds. */

/** Any number of values, none too. */
export const STAR = Symbol('*');

type Fits<T> = (value: T) => boolean;

/** Whether the values fit the pattern. After a mismatch only the last star takes one more; earlier ones need not move. */
export function wild<T>(pattern: readonly (Fits<T> | typeof STAR)[], values: readonly T[]): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < values.length;) {
    const step = pattern[at];
    if (step === STAR) {
      star = at;
      resume = i;
      at += 1;
    } else if (step !== undefined && step(values[i] as T)) {
      at += 1;
      i += 1;
    } else if (star >= 0) {
      resume += 1;
      i = resume;
      at = star + 1;
    } else return false;
  }
  while (pattern[at] === STAR) at += 1;
  return at === pattern.length;
}

/** A test of one name between slashes: `*`, `?`, `[a-z]`, `[!a]`, `\` before a character that means itself. */
export function segmentMatcher(glob: string): Fits<string> {
  const pattern: (Fits<string> | typeof STAR)[] = [];
  const chars = Array.from(glob);
  for (let i = 0; i < chars.length; i += 1) {
    const char = chars[i] ?? '';
    if (char === '*') pattern.push(STAR);
    else if (char === '?') pattern.push(() => true);
    else if (char === '[') {
      const set = /^\[[!^]?\]?(?:\\.|[^\]\\])*\]/u.exec(chars.slice(i).join(''))?.[0];
      // Git: a set without an end fits nothing.
      if (set === undefined) return () => false;
      pattern.push(setMatcher(set.slice(1, -1)));
      i += Array.from(set).length - 1;
    } else {
      const own = char === '\\' && i + 1 < chars.length ? (chars[(i += 1)] ?? '') : char;
      pattern.push((c) => c === own);
    }
  }
  return (name) => wild(pattern, Array.from(name));
}

function setMatcher(set: string): Fits<string> {
  const negated = /^[!^]/.test(set);
  const chars = [...(negated ? set.slice(1) : set).matchAll(/\\?(.)(?:-\\?(.))?/gsu)].map(
    ([, from = '', to = from]) => [from, to] as const,
  );
  return (c) => chars.some(([from, to]) => from <= c && c <= to) !== negated;
}
