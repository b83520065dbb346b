import { featuresOf } from './features.ts';

/**
 * The embedding of a text: each feature is hashed to one place and one sign, repeated features count with the root
 * of their number, and the whole is scaled to length one. A text without features gives the first unit vector.
 */
export function embed(text: string, dimensions: number): Float32Array {
  const weights = new Map<string, number>();
  for (const { name, weight } of featuresOf(text)) weights.set(name, Math.hypot(weights.get(name) ?? 0, weight));
  const vector = new Float32Array(dimensions);
  for (const [name, weight] of weights) {
    const hash = hashOf(name);
    const place = (hash >>> 1) % dimensions;
    vector[place] = (vector[place] ?? 0) + ((hash & 1) === 0 ? weight : -weight);
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
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
