import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import { factsOf } from '../../../functions/prices/facts.ts';
import type { Terms } from '../../../functions/prices/terms.ts';

const terms = (part: Partial<Terms['price']> = {}): Terms => ({
  version: 'p',
  price: { ...NO_PRICE, ...part },
  discountBps: 0,
  feeBps: 0,
});
const IMAGES = terms({ per_image: 1 });
const bytes = (body: unknown): Uint8Array => new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
const of = (body: unknown, t = IMAGES) => factsOf(t, { body: body === null ? null : bytes(body), maxTokens: null, timeoutMs: 1 });

describe('images and steps of a request', () => {
  test.each([
    ['n and steps', { n: 4, steps: 28 }, 4, 28],
    ['their longer names', { num_images: 3, num_inference_steps: 50 }, 3, 50],
    ['by both names, the larger', { n: 1, num_images: 4, steps: 2, num_inference_steps: 50 }, 4, 50],
    ['by both names, the larger first', { n: 4, num_images: 1, steps: 50, num_inference_steps: 2 }, 4, 50],
    ['nothing said', { prompt: 'a fox' }, 1, 1],
    ['too many', { n: 1_000_000, steps: 1e300 }, 100, 1000],
    ['none', { n: 0, steps: -5 }, 1, 1],
    ['parts of one', { n: 2.5, steps: '28' }, 1, 1],
    ['not JSON', 'n=4', 1, 1],
    ['a list', [4, 28], 1, 1],
    ['JSON without fields', 'null', 1, 1],
    ['beside a picture to start from', { n: 4, steps: 9, image: 'x'.repeat(1024 * 1024) }, 4, 9],
    ['no body', null, 1, 1],
  ])('%s', (_name, body, images, steps) => {
    expect(of(body)).toMatchObject({ images, steps });
  });

  test('are not read where they cost nothing', () => {
    expect(of({ n: 4, steps: 28 }, terms({ per_second: 5 }))).toMatchObject({ images: 0, steps: 0 });
    expect(of({ n: 4, steps: 28 }, terms({ per_step: 5 }))).toMatchObject({ images: 4, steps: 28 });
  });
});

test('whatever the body is, the facts are whole numbers within their bounds', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json().map((text) => bytes(text)),
        fc.uint8Array({ maxLength: 300 }),
      ),
      fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), { nil: null }),
      (body, maxTokens) => {
        const facts = factsOf(IMAGES, { body, maxTokens, timeoutMs: 1000 });
        expect(facts.requestBytes).toBe(body.byteLength);
        expect(facts.maxTokens).toBe(maxTokens === null ? null : Math.min(maxTokens, 10_000_000));
        for (const [value, most] of [[facts.images, 100] as const, [facts.steps, 1000] as const])
          expect(Number.isInteger(value) && value >= 1 && value <= most).toBe(true);
      },
    ),
  );
});
