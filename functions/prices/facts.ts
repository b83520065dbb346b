/** What a request says about its own size, for the quote: read from the body, within bounds. Pure. */
import type { QuoteFacts, Terms } from './terms.ts';

/** Images of one request and steps of each; an engine that makes more gives them away. */
const MOST_IMAGES = 100;
const MOST_STEPS = 1_000;
/** Output tokens of one call: more than any engine makes in the time a call has. */
const MOST_TOKENS = 10_000_000;

export interface RequestFacts {
  body: Uint8Array | null;
  /** Most bytes of a body that is not in memory. */
  bodyBytes?: number;
  maxTokens: number | null;
  timeoutMs: number;
}

export function factsOf(terms: Terms, { body, bodyBytes, maxTokens, timeoutMs }: RequestFacts): QuoteFacts {
  const units = countsUnits(terms) ? unitsOf(body) : { images: 0, steps: 0 };
  const most = maxTokens === null ? null : Math.min(maxTokens, MOST_TOKENS);
  return { requestBytes: body?.byteLength ?? bodyBytes ?? 0, maxTokens: most, timeoutMs, ...units };
}

/** Whether images or steps cost something: then the request must be at hand to be read. */
export function countsUnits({ price }: Terms): boolean {
  return price.per_image > 0 || price.per_step > 0;
}

/** Whether tokens cost something: then what they are counted by must be known. */
export function countsTokens({ price }: Terms): boolean {
  return price.input_per_million > 0 || (price.cached_per_million ?? 0) > 0 || price.output_per_million > 0;
}

/**
 * `n` or `num_images`, and `steps` or `num_inference_steps`: the larger of two, for who makes the images may go by either;
 * one image of one step where the request does not say.
 */
function unitsOf(body: Uint8Array | null): Pick<QuoteFacts, 'images' | 'steps'> {
  const fields = fieldsOf(body);
  return {
    images: Math.max(whole(fields['n'], MOST_IMAGES), whole(fields['num_images'], MOST_IMAGES)),
    steps: Math.max(whole(fields['steps'], MOST_STEPS), whole(fields['num_inference_steps'], MOST_STEPS)),
  };
}

function fieldsOf(body: Uint8Array | null): Record<string, unknown> {
  if (body === null) return {};
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function whole(value: unknown, most: number): number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 ? Math.min(value, most) : 1;
}
