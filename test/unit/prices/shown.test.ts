import { expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import { pricingOf } from '../../../functions/prices/shown.ts';

test.each([
  ['nothing', {}, 0, { prompt: '0', completion: '0', input_cache_read: '0', request: '0', image: '0' }],
  // 0.15 and 0.60 USD per million, a tenth of a cent per request, 4 cents per image.
  [
    'common prices',
    {
      input_per_million: 150_000_000,
      cached_per_million: 75_000_000,
      output_per_million: 600_000_000,
      per_request: 1_000_000,
      per_image: 40_000_000,
    },
    0,
    { prompt: '0.00000015', completion: '0.0000006', input_cache_read: '0.000000075', request: '0.001', image: '0.04' },
  ],
  [
    'the least, a third of a per mille off',
    { input_per_million: 1, per_request: 1 },
    3,
    { prompt: '0.0000000000000009997', request: '0.0000000009997' },
  ],
  ['the most', { output_per_million: 1e13, per_image: 1e13 }, 0, { completion: '0.01', image: '10000' }],
])('%s', (_name, price, discountBps, pricing) => {
  const shown = pricingOf({ version: 'p', price: { ...NO_PRICE, ...price }, discountBps, feeBps: 0 });
  expect(shown.pricing).toMatchObject(pricing);
  expect(shown.price_nanousd).toMatchObject({ ...price, discount_bps: discountBps });
});
