/** A price out of what a feed answered, to the last digit. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LEAST, MOST, priceIn, type PriceFault } from '../../../functions/rates/price.ts';

const USD = 1_000_000_000n;

test.each<[json: string, path: string, price: bigint | PriceFault]>([
  ['{"usd":412.5}', 'usd', 412_500_000_000n],
  ['{"usd":"412.50"}', 'usd', 412_500_000_000n],
  ['{"usd":412}', 'usd', 412n * USD],
  ['{"error":[],"result":{"TAOUSD":{"c":["260.10","0.5"]}}}', 'result.TAOUSD.c.0', 260_100_000_000n],
  ['[1,[2,{"a":3}]]', '1.1.a', 3n * USD],
  // A float has about 16 digits.
  ['{"usd":123456.123456789}', 'usd', 123_456_123_456_789n],
  ['{"usd":999999.999999999}', 'usd', 999_999_999_999_999n],
  // What is below a nano-USD is left off.
  ['{"usd":412.1234567899999}', 'usd', 412_123_456_789n],
  ['{"usd":"0.0100000009"}', 'usd', LEAST],
  ['{"usd":4.125e2}', 'usd', 412_500_000_000n],
  ['{"usd":4.125E+2}', 'usd', 412_500_000_000n],
  ['{"usd":"41250e-2"}', 'usd', 412_500_000_000n],
  ['{"usd":1e6}', 'usd', MOST],
  ['{"usd":0.01}', 'usd', LEAST],
  ['{"usd":1,"usd":2}', 'usd', 2n * USD],
  ['{"usd":0.009999999999}', 'usd', 'out_of_bounds'],
  ['{"usd":1000000.000000001}', 'usd', 'out_of_bounds'],
  ['{"usd":0}', 'usd', 'out_of_bounds'],
  ['{"usd":1e999}', 'usd', 'out_of_bounds'],
  ['{"usd":1e-999}', 'usd', 'out_of_bounds'],
  ['{"usd":1e9999}', 'usd', 'no_price'],
  ['{"usd":-412}', 'usd', 'no_price'],
  ['{"usd":"+412"}', 'usd', 'no_price'],
  ['{"usd":"412,50"}', 'usd', 'no_price'],
  ['{"usd":"1,412.50"}', 'usd', 'no_price'],
  ['{"usd":" 412"}', 'usd', 'no_price'],
  ['{"usd":"412\\n"}', 'usd', 'no_price'],
  ['{"usd":"412."}', 'usd', 'no_price'],
  ['{"usd":".5"}', 'usd', 'no_price'],
  ['{"usd":"$412"}', 'usd', 'no_price'],
  ['{"usd":"0x19c"}', 'usd', 'no_price'],
  ['{"usd":"Infinity"}', 'usd', 'no_price'],
  ['{"usd":"NaN"}', 'usd', 'no_price'],
  ['{"usd":""}', 'usd', 'no_price'],
  [`{"usd":"${'1'.repeat(41)}"}`, 'usd', 'no_price'],
  ['{"usd":null}', 'usd', 'no_price'],
  ['{"usd":true}', 'usd', 'no_price'],
  ['{"usd":[412]}', 'usd', 'no_price'],
  ['{"usd":{}}', 'usd', 'no_price'],
  ['{"usd":412}', 'eur', 'no_price'],
  ['{"usd":412}', 'usd.0', 'no_price'],
  ['{"usd":"412"}', 'usd.0', 'no_price'],
  ['[412]', '1', 'no_price'],
  ['[412]', 'length', 'no_price'],
  ['{}', '__proto__', 'no_price'],
  ['{}', 'constructor.length', 'no_price'],
  ['412', 'usd', 'no_price'],
  ['null', 'usd', 'no_price'],
  ['', 'usd', 'no_json'],
  ['{"usd":NaN}', 'usd', 'no_json'],
  ['{"usd":412', 'usd', 'no_json'],
  ['<html>412</html>', 'usd', 'no_json'],
  ['['.repeat(60_000), 'usd', 'no_json'],
])('%s at %s', (json, path, price) => expect(priceIn(json, path.split('.'))).toBe(price));

test('what is too deep for this machine is no JSON or no price, and nothing breaks', () => {
  expect(['no_json', 'no_price']).toContain(priceIn(`{"usd":${'['.repeat(30_000)}${']'.repeat(30_000)}}`, ['usd']));
});

describe('every price within bounds', () => {
  const nano = fc.bigInt({ min: LEAST, max: MOST });
  const decimal = (value: bigint) => `${value / USD}.${(value % USD).toString().padStart(9, '0')}`;

  test('comes back as it was, as a number and as a text, whatever digits follow', () => {
    fc.assert(
      fc.property(nano, fc.stringMatching(/^\d{0,20}$/), (value, more) => {
        fc.pre(value < MOST);
        expect(priceIn(`{"p":${decimal(value)}${more}}`, ['p'])).toBe(value);
        expect(priceIn(`{"p":"${decimal(value)}${more}"}`, ['p'])).toBe(value);
      }),
    );
  });

  test('comes back from scientific notation', () => {
    fc.assert(
      fc.property(nano, fc.integer({ min: -20, max: 20 }), (value, power) => {
        const whole = power >= 0 ? `${value}${'0'.repeat(power)}` : `${value.toString().padStart(1 - power, '0')}`;
        const written =
          power >= 0 ? `${BigInt(whole)}e${-9 - power}` : `${BigInt(whole.slice(0, power))}.${whole.slice(power)}e${-9 - power}`;
        expect(priceIn(`[${written}]`, ['0'])).toBe(value);
      }),
    );
  });
});
