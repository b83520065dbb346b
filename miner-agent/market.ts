/** The public board of needs, as far as this agent trusts it: read, bounded, checked. */
import * as z from 'zod/mini';
import { gpuSchema, priceSchema } from '#protocol';
import type { Outbound } from './net/outbound.ts';

const count = z.number().check(z.int(), z.nonnegative());
/** Nano-USD; no more than sums can bear. */
const amount = z.number().check(z.nonnegative(), z.lte(1e15));

const offerSchema = z.object({
  chute: z.string().check(z.minLength(1), z.maxLength(64)),
  name: z.string().check(z.regex(/^[a-z0-9-]{1,64}\/[a-z0-9-]{1,64}$/)),
  version: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  need: count,
  urgency: z.number(),
  /** Nothing of it serves. */
  cold: z.optional(z.boolean()),
  bounty_nanousd: amount,
  gpu: z.nullable(gpuSchema),
  runtime: z.enum(['image', 'command']),
  code: z.nullable(z.string().check(z.regex(/^[0-9a-f]{64}$/))),
  owner: z.string().check(z.maxLength(64)),
  since: z.number(),
  /** A newer edge may know more units. */
  price: z.optional(z.object(priceSchema.shape)),
  earning_nanousd_hour: z.optional(z.nullable(amount)),
  crowd: z.optional(count),
  concurrency: z.optional(count),
  memory_mb: z.optional(z.nullable(count)),
  disk_gb: z.optional(z.nullable(count)),
});
export type MarketOffer = z.infer<typeof offerSchema>;

const documentSchema = z.object({ items: z.array(z.unknown()).check(z.maxLength(10_000)), version: count });

const BODY_BYTES = 8 * 1024 * 1024;

export class Market {
  offers: MarketOffer[] = [];
  readonly #api: string;
  #version = 0;
  readonly #outbound: Outbound;
  constructor(api: string, outbound: Outbound) {
    this.#api = api;
    this.#outbound = outbound;
  }

  /** Brings `offers` up to date. Throws if the edge does not answer, or answers with something else. */
  async refresh(signal: AbortSignal): Promise<void> {
    const url = new URL(`${this.#api}/market?since=${this.#version}`);
    const answer = await this.#outbound.ask(url, { timeoutMs: 10_000, maxBytes: BODY_BYTES, signal });
    if (answer.status === 304 || answer.status === 204) return;
    if (!answer.ok) throw new Error(`the market answered ${answer.status}`);
    const parsed = documentSchema.safeParse(JSON.parse(answer.text));
    if (!parsed.success) throw new Error('the market answered with something else');
    if (parsed.data.version === this.#version && this.#version > 0) return;
    this.#version = parsed.data.version;
    // An offer this agent cannot read is one it does not take.
    this.offers = parsed.data.items.flatMap((item) => {
      const offer = offerSchema.safeParse(item);
      return offer.success ? [offer.data] : [];
    });
  }
}
