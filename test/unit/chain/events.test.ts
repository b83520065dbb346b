/**
 * Events of a block as the chain writes them. The bytes are written by hand; the metadata is a made-up runtime's, and a
 * real one's where RIPCORD_CHAIN_METADATA names a file (SCALE, as `state_getMetadata` answers it).
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { eventReader } from '../../../functions/chain/events.ts';
import { ChainError } from '../../../functions/chain/rpc.ts';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';
import { FIRST_RUNTIME, NEXT_RUNTIME, metadataOf } from '../../harness/chain-metadata.ts';

const [a, b] = ['aa'.repeat(32), 'bb'.repeat(32)];
const [from, to] = [a, b].map((key) => encodeSs58(Buffer.from(key, 'hex'))) as [string, string];

/** phase ‖ pallet ‖ event ‖ fields ‖ no topics */
const applying = (extrinsic: number) => `00${extrinsic.toString(16).padStart(2, '0')}000000`;
const INFO = '02000200f1010000'; // weight 32,768 and 124 (compact), class Normal, pays
const success = (extrinsic: number) => `${applying(extrinsic)}0000${INFO}00`;
const transfer = (phase: string, amount: string, [pallet, event] = ['05', '02']) => `${phase}${pallet}${event}${a}${b}${amount}00`;
const ONE_TAO = '00ca9a3b00000000';
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));

const path = process.env['RIPCORD_CHAIN_METADATA'];
const runtimes: [string, Uint8Array][] = [
  ['a made-up runtime', metadataOf(FIRST_RUNTIME)],
  ...(path === undefined ? [] : [['a real runtime', new Uint8Array(readFileSync(path))] as [string, Uint8Array]]),
];

test.each(runtimes)('%s: transfers of extrinsics, each with its place', (_, metadata) => {
  const events = [
    success(0),
    transfer(applying(1), ONE_TAO),
    transfer(applying(1), ONE_TAO),
    success(1),
    transfer('02', ONE_TAO),
    transfer('01', ONE_TAO),
  ];
  expect(eventReader(metadata)(bytes(`18${events.join('')}`))).toEqual({
    transfers: [
      { index: 1, extrinsic: 1, from, to, rao: 1_000_000_000n },
      { index: 2, extrinsic: 1, from, to, rao: 1_000_000_000n },
    ],
    outcomes: new Map([
      [0, 'success'],
      [1, 'success'],
    ]),
  });
});

test.each(runtimes)('%s: an extrinsic that failed says so', (_, metadata) => {
  // DispatchError::BadOrigin has no fields.
  const { outcomes } = eventReader(metadata)(bytes(`08${success(0)}${applying(1)}000102${INFO}00`));
  expect([...outcomes]).toEqual([
    [0, 'success'],
    [1, 'failed'],
  ]);
});

test.each(runtimes)('%s: every digit of an amount', (_, metadata) => {
  const { transfers } = eventReader(metadata)(bytes(`04${transfer(applying(3), 'ffffffffffffff7f')}`));
  expect(transfers).toMatchObject([{ rao: 9_223_372_036_854_775_807n, index: 0, extrinsic: 3 }]);
});

test.each(runtimes)('%s: a block without events', (_, metadata) => {
  expect(eventReader(metadata)(bytes('00'))).toEqual({ transfers: [], outcomes: new Map() });
});

test.each([
  ['cut off', bytes(`04${transfer(applying(0), ONE_TAO).slice(0, -20)}`)],
  ['cut off in an address', bytes(`04${transfer(applying(0), ONE_TAO).slice(0, 40)}`)],
  ['cut off in a topic', bytes(`04${transfer(applying(0), ONE_TAO).slice(0, -2)}08${'cc'.repeat(40)}`)],
  ['with bytes left over', bytes(`04${transfer(applying(0), ONE_TAO)}00`)],
  ['of a pallet nobody knows', bytes(`04${transfer(applying(0), ONE_TAO, ['63', '02'])}`)],
  ['of another runtime', bytes(`04${transfer(applying(0), ONE_TAO, ['06', '01'])}`)],
  ['nothing at all', bytes('')],
])('events %s are an error, never no events', (_, events) => {
  expect(() => eventReader(metadataOf(FIRST_RUNTIME))(events)).toThrow(ChainError);
});

test('whatever is cut off or changed in length is an error', () => {
  const read = eventReader(metadataOf(FIRST_RUNTIME));
  const whole = bytes(`0c${success(0)}${transfer(applying(1), ONE_TAO)}${success(1)}`);
  for (let end = 0; end < whole.length; end++) expect(() => read(whole.slice(0, end))).toThrow(ChainError);
  for (let more = 1; more < 80; more++) expect(() => read(Uint8Array.from([...whole, ...new Uint8Array(more)]))).toThrow(ChainError);
  expect(read(whole).transfers).toHaveLength(1);
});

test('each runtime is read by its own numbers', () => {
  const { transfers } = eventReader(metadataOf(NEXT_RUNTIME))(bytes(`04${transfer(applying(0), ONE_TAO, ['06', '01'])}`));
  expect(transfers).toMatchObject([{ from, to, rao: 1_000_000_000n }]);
});

test.each([
  ['no metadata', bytes('00')],
  ['cut off', metadataOf(FIRST_RUNTIME).slice(0, 200)],
  ['without the event of a transfer', metadataOf({ ...FIRST_RUNTIME, transferName: 'Moved' })],
])('metadata that is not understood is refused: %s', (_, metadata) => {
  expect(() => eventReader(metadata)).toThrow(ChainError);
});
