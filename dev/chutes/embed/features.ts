/** What a text is made of, as weighted features: words, pairs of words, and runs of characters inside words. */

const RUNS = [3, 4, 5];
const WORD_WEIGHT = 1;
const PAIR_WEIGHT = 0.5;
const RUN_WEIGHT = 0.35;
/** Words that are in nearly every text say little about it. */
const COMMON = new Set('a an and are as at be by for from has have he in is it its of on or that the they this to was were will with'.split(' '));
const COMMON_WEIGHT = 0.15;

export type Feature = { name: string; weight: number };

/** Features in the order of the text; the same feature may come again. Words are in lower case, without accents. */
export function* featuresOf(text: string): Generator<Feature> {
  const plain = text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();
  let before = '';
  for (const [word] of plain.matchAll(/[\p{L}\p{N}]{1,64}|[^\s\p{L}\p{N}]/gu)) {
    const weight = COMMON.has(word) ? COMMON_WEIGHT : WORD_WEIGHT;
    yield { name: `w:${word}`, weight };
    if (before !== '') yield { name: `p:${before} ${word}`, weight: PAIR_WEIGHT * weight };
    if (weight === WORD_WEIGHT) yield* runsOf(word);
    before = word;
  }
}

function* runsOf(word: string): Generator<Feature> {
  const framed = `<${word}>`;
  for (const length of RUNS) {
    for (let start = 0; start + length <= framed.length; start++) {
      yield { name: `c:${framed.slice(start, start + length)}`, weight: RUN_WEIGHT / length };
    }
  }
}
