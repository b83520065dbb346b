/** The ChaCha20 block function on sixteen words (RFC 8439 §2.3), in place (pure). */

export function chachaBlock(words: Uint32Array): void {
  const s = Int32Array.from(words);
  for (let round = 0; round < 10; round++) {
    quarter(s, 0, 4, 8, 12);
    quarter(s, 1, 5, 9, 13);
    quarter(s, 2, 6, 10, 14);
    quarter(s, 3, 7, 11, 15);
    quarter(s, 0, 5, 10, 15);
    quarter(s, 1, 6, 11, 12);
    quarter(s, 2, 7, 8, 13);
    quarter(s, 3, 4, 9, 14);
  }
  for (let at = 0; at < 16; at++) words[at] = words[at]! + s[at]!;
}

function quarter(s: Int32Array, a: number, b: number, c: number, d: number): void {
  let wa = s[a]!;
  let wb = s[b]!;
  let wc = s[c]!;
  let wd = s[d]!;
  wa = (wa + wb) | 0;
  wd = turned(wd ^ wa, 16);
  wc = (wc + wd) | 0;
  wb = turned(wb ^ wc, 12);
  wa = (wa + wb) | 0;
  wd = turned(wd ^ wa, 8);
  wc = (wc + wd) | 0;
  wb = turned(wb ^ wc, 7);
  s[a] = wa;
  s[b] = wb;
  s[c] = wc;
  s[d] = wd;
}

const turned = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));
