/** The shape of runtimes: one that is known, and ones that nobody should sign for. */
import { expect, test } from 'vitest';
import { metadataOf } from '../../../dev/chain/metadata.ts';
import { ChainError } from '../../../functions/chain/rpc.ts';
import { shapeOf } from '../../../functions/chain/shape.ts';

const standIn = (changed: boolean) => metadataOf({ spec: 424, changed }, 1_000);

test('the stand-in has the shape that is known', () => {
  expect(shapeOf(standIn(false).v15)).toEqual({ faults: [], blockMs: 1_000 });
});

test('calls with other arguments are named', () => {
  const { faults } = shapeOf(standIn(true).v15);
  expect(faults).toEqual([
    expect.stringMatching(/^call set_mechanism_weights: \[7,119\]\(.*known is \[7,119\]\(netuid:u16, mecid:u8/),
    expect.stringMatching(/^call commit_timelocked_mechanism_weights: /),
  ]);
});

test('a description that does not tell enough is not a known one', () => {
  expect(shapeOf(standIn(false).v14).faults).toContain('no get_subnet_state');
});

test.each([[new Uint8Array()], [Uint8Array.from({ length: 400 }, (_, i) => i & 255)], [standIn(false).v15.subarray(0, 900)]])(
  'what is no metadata is not read',
  (bytes) => {
    expect(() => shapeOf(bytes)).toThrow(ChainError);
  },
);
