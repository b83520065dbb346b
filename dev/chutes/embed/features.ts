/** What a text is made of, as weighted features: words, pairs of words, and runs of characters inside words. */

const RUNS = [3, 4, 5];
const WORD_WEIGHT = 1;
const PAIR_WEIGHT = 0.5;
/** Of all runs of a word together, so that a long word does not outweigh a short one. */
const RUNS_WEIGHT = 1.2;
/** Words that are in nearly every text say little about it; nor do signs. */
const COMMON = new Set(
  'a an and are as at be by do for from has have he how i in is it its of on or that the they this to was were will with'.split(' '),
);
const COMMON_WEIGHT = 0.15;

export type Feature = { name: string; weight: number };

/** Features in the order of the text; the same feature may come again. Words are in lower case, without accents. */
export function* featuresOf(text: string): Generator<Feature> {
  const plain = text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();
  let before = '';
  for (const [word] of plain.matchAll(/[\p{L}\p{N}]{1,64}|[^\s\p{L}\p{N}]/gu)) {
    const telling = !COMMON.has(word) && /[\p{L}\p{N}]/u.test(word);
    const weight = telling ? WORD_WEIGHT : COMMON_WEIGHT;
    yield { name: `w:${word}`, weight };
    if (before !== '') yield { name: `p:${before} ${word}`, weight: PAIR_WEIGHT * weight };
    if (telling) yield* runsOf(word);
    before = word;
  }
}

function* runsOf(word: string): Generator<Feature> {
  const framed = `<${word}>`;
  const runs = RUNS.flatMap((length) =>
    Array.from({ length: Math.max(0, framed.length - length + 1) }, (_, start) => framed.slice(start, start + length)),
  );
  const weight = RUNS_WEIGHT / Math.sqrt(runs.length);
  for (const run of runs) yield { name: `c:${run}`, weight };
}
