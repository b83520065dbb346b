/**
 * What the stand-in says of itself can be read by other libraries, and its numbers are those of the real runtime where
 * RIPCORD_CHAIN_METADATA names that one's metadata.
 */
import { readFileSync } from 'node:fs';
import { getLookupFn } from '@polkadot-api/metadata-builders';
import { decAnyMetadata, unifyMetadata, type UnifiedMetadata } from '@polkadot-api/substrate-bindings';
import { describe, expect, test } from 'vitest';
import { CALLS, PALLETS } from '../../../dev/chain/calls.ts';
import { ERRORS } from '../../../dev/chain/events.ts';
import { metadataOf } from '../../../dev/chain/metadata.ts';
import { ITEMS, storageKey } from '../../../dev/chain/state.ts';
import { shapeOf } from '../../../functions/chain/shape.ts';

const own = metadataOf({ spec: 424, changed: false }, 1_000);
const path = process.env['RIPCORD_CHAIN_METADATA'];
const others: [string, Uint8Array][] = path === undefined ? [] : [['the real runtime', new Uint8Array(readFileSync(path))]];

describe.each([['version 14', own.v14], ['version 15', own.v15], ...others])('%s', (_, bytes) => {
  const metadata = unifyMetadata(decAnyMetadata(bytes.slice()));
  const pallet = (name: string) => metadata.pallets.find((one) => one.name === name);

  test.each(Object.entries(PALLETS))('pallet %s is number %i', (name, index) => {
    expect(pallet(name)?.index).toBe(index);
  });

  test.each(Object.values(ITEMS).map((item) => [`${item.pallet}.${item.name}`, item] as const))('%s is kept so', (_name, item) => {
    const found = pallet(item.pallet)?.storage?.items.find(({ name }) => name === item.name);
    const hashers = found?.type.tag === 'map' ? found.type.value.hashers.map(({ tag }) => tag) : [];
    expect(found).toBeDefined();
    expect(hashers).toEqual(item.hashers);
    expect(found?.modifier).toBe(item.fallback === null ? 0 : 1);
  });

  test.each(CALLS.map((call) => [call.name, call] as const))('call %s has its number and arguments', (name, call) => {
    const args = variants(metadata, pallet(call.pallet)?.calls).find((one) => one.name === name);
    expect(args).toMatchObject({ index: call.index });
    expect(args?.fields.map((field) => field.name)).toEqual(Object.keys(call.args.fields));
  });

  test.each(Object.entries(ERRORS.SubtensorModule))('error %s is number %i', (name, index) => {
    expect(variants(metadata, pallet('SubtensorModule')?.errors).find((one) => one.name === name)?.index).toBe(index);
  });

  test.each([
    ['System', 'ExtrinsicFailed', 1],
    ['Balances', 'Transfer', 2],
    ['Balances', 'Endowed', 0],
    ['SubtensorModule', 'WeightsSet', 5],
    ['SubtensorModule', 'NeuronRegistered', 6],
    ['SubtensorModule', 'TimelockedWeightsCommitted', 107],
    ['SubtensorModule', 'TimelockedWeightsRevealed', 108],
  ])('event %s.%s is number %i', (of, name, index) => {
    expect(variants(metadata, pallet(of)?.events).find((one) => one.name === name)?.index).toBe(index);
  });
});

test('a client that knows Subtensor knows the stand-in, and does not sign for a runtime whose calls are others', () => {
  expect(shapeOf(own.v15)).toEqual({ faults: [], blockMs: 1_000 });
  const { faults } = shapeOf(metadataOf({ spec: 425, changed: true }, 1_000).v15);
  expect(faults.some((fault) => fault.includes('set_mechanism_weights'))).toBe(true);
});

/** Bytes restated from Subtensor's own storage. */
test.each([
  ['Keys', storageKey(ITEMS.keys, [64, 5]), '0x658faa385070e074c85bf6b568cf05559f99a2ce711f3a31b2fc05604c93f17940000500'],
  [
    'Uids',
    storageKey(ITEMS.uids, [64, '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY']),
    '0x658faa385070e074c85bf6b568cf0555aab1b4e78e1ea8305462ee53b3686dc84000de1e86a9a8c739864cf3cc5ec2bea59fd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d',
  ],
  [
    'RevealPeriodEpochs',
    storageKey(ITEMS.revealPeriod, [64]),
    '0x658faa385070e074c85bf6b568cf05558f232bcbac768c1d6201850c60f161ed62cf9476b03dd8654000',
  ],
  ['Events', storageKey(ITEMS.events), '0x26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7'],
])('the key of %s', (_, key, due) => {
  expect(key).toBe(due);
});

function variants(metadata: UnifiedMetadata, type: { type: number } | undefined) {
  const def = metadata.lookup.find(({ id }) => id === type?.type)?.def;
  // Looked up whole, as a client does: a type that refers to nothing would throw.
  if (type !== undefined) getLookupFn(metadata)(type.type);
  return def?.tag === 'variant' ? def.value : [];
}
