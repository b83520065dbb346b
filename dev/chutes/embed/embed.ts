import { featuresOf } from './features.ts';

/** Places that each feature is spread over, so that two features that collide in one still differ in the others. */
const PLACES = 4;

/**
 * The embedding of a text: each feature is hashed to a few places and signs, repeated features count with the root
 * of their number, and the whole is scaled to length one. A text without features gives the first unit vector.
 */
export function embed(text: string, dimensions: number): Float32Array {
  const weights = new Map<string, number>();
  for (const { name, weight } of featuresOf(text)) weights.set(name, Math.hypot(weights.get(name) ?? 0, weight));
  const vector = new Float32Array(dimensions);
  for (const [name, weight] of weights) {
    let hash = hashOf(name);
    for (let turn = 0; turn < PLACES; turn++) {
      const place = (hash >>> 1) % dimensions;
      vector[place] = (vector[place] ?? 0) + ((hash & 1) === 0 ? weight : -weight);
      hash = mix(hash + 0x9e3779b9);
    }
  }
  return normalise(vector);
}

/** How many tokens a text is counted as: its words, numbers and signs. */
export function countTokens(text: string): number {
  return text.match(/[\p{L}\p{N}]{1,16}|[^\s\p{L}\p{N}]/gu)?.length ?? 0;
}

/** Little-endian 32-bit floats, as OpenAI's `base64` has them. */
export function toBase64(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, at) => bytes.writeFloatLE(value, at * 4));
  return bytes.toString('base64');
}

function normalise(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  if (length === 0) {
    vector[0] = 1;
    return vector;
  }
  return vector.map((value) => value / length);
}

/** 32-bit FNV-1a with a final mix, so that sign and place do not depend on each other. */
function hashOf(name: string): number {
  let hash = 2166136261;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 16777619);
  return mix(hash);
}

function mix(number: number): number {
  let mixed = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
