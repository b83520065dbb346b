/**
 * Who may ask first. Agents are let at a need in waves, in an order that is another one for every need, so that one offer
 * does not bring everybody at once and nobody is always last. Edge and agents compute the same.
 */

/** Agents of the first wave, for every instance that is wanted. */
const FIRST = 4;
/** Milliseconds after which twice as many may ask. */
const DOUBLE_MS = 250;

/** Milliseconds after `since` that this agent waits. `crowd`: agents that asked at the last need; few: nobody waits. */
export function waveMs(agent: string, offer: { chute: string; since: number; need: number; crowd?: number | undefined }): number {
  const first = FIRST * Math.max(1, offer.need);
  const crowd = offer.crowd ?? 0;
  if (crowd <= first) return 0;
  const place = hash(`${agent}\n${offer.chute}\n${offer.since}`) * crowd;
  return place < first ? 0 : Math.ceil(Math.log2(place / first)) * DOUBLE_MS;
}

/** FNV-1a with a final mix; 0 to 1. Not secret: an agent gains nothing by trying names, for its id carries a MAC of the edge. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}
