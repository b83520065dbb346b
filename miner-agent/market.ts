/** The public board of needs, as far as this agent trusts it: read, bounded, checked. */
import * as z from 'zod/mini';
import { gpuSchema } from '#protocol';

const count = z.number().check(z.int(), z.nonnegative());

const offerSchema = z.object({
  chute: z.string().check(z.minLength(1), z.maxLength(64)),
  name: z.string().check(z.regex(/^[a-z0-9-]{1,64}\/[a-z0-9-]{1,64}$/)),
  version: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  need: count,
  urgency: z.number(),
  bounty_nanousd: z.number(),
  gpu: z.nullable(gpuSchema),
  runtime: z.enum(['image', 'command']),
  code: z.nullable(z.string().check(z.regex(/^[0-9a-f]{64}$/))),
  owner: z.string().check(z.maxLength(64)),
  since: z.number(),
});
export type MarketOffer = z.infer<typeof offerSchema>;

const documentSchema = z.object({ items: z.array(z.unknown()).check(z.maxLength(10_000)), version: count });

const BODY_BYTES = 8 * 1024 * 1024;

export class Market {
  offers: MarketOffer[] = [];
  readonly #api: string;
  #version = 0;
  constructor(api: string) {
    this.#api = api;
  }

  /** Brings `offers` up to date. Throws if the edge does not answer, or answers with something else. */
  async refresh(signal: AbortSignal): Promise<void> {
    const response = await fetch(`${this.#api}/market?since=${this.#version}`, {
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    });
    if (response.status === 304 || response.status === 204) return;
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`the market answered ${response.status}`);
    }
    const parsed = documentSchema.safeParse(JSON.parse(await boundedText(response)));
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

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  if (response.body === null) return text;
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > BODY_BYTES) throw new Error('the market answered with too much');
  }
  return text + decoder.decode();
}
