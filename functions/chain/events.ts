/**
 * Events of a block. They are not self-delimiting, so a reader is made out of the metadata of the runtime that wrote them.
 * What is not exactly as it is known here is an error and never a shrug: an event that is not understood could be money.
 */
import { concatBytes } from '@noble/hashes/utils.js';
import { getLookupCodecBuilder, getLookupFn } from '@polkadot-api/metadata-builders';
import { AccountId, decAnyMetadata, unifyMetadata, type UnifiedMetadata } from '@polkadot-api/substrate-bindings';
import * as z from 'zod/mini';
import { ChainError } from './rpc.ts';

/** `Balances.Transfer` of an extrinsic. */
export interface Transfer {
  /** Place of the event among all events of its block. */
  index: number;
  extrinsic: number;
  /** ss58, prefix 42. */
  from: string;
  to: string;
  rao: bigint;
}

export interface BlockEvents {
  transfers: Transfer[];
  /** What became of the extrinsics, by their place in the block. */
  outcomes: Map<number, 'success' | 'failed'>;
}

export type EventReader = (bytes: Uint8Array) => BlockEvents;

const SS58_PREFIX = 42;
const PADDING = new Uint8Array(64).fill(0xff);
const READ = [
  ['System', 'ExtrinsicSuccess'],
  ['System', 'ExtrinsicFailed'],
  ['Balances', 'Transfer'],
] as const;

const recordSchema = z.object({
  phase: z.object({ type: z.string(), value: z.optional(z.unknown()) }),
  event: z.object({ type: z.string(), value: z.object({ type: z.string(), value: z.optional(z.unknown()) }) }),
});
const transferSchema = z.object({ from: z.string(), to: z.string(), amount: z.bigint() });

/**
 * The library reads whole buffers, whatever part of one an array shows: so it gets copies.
 * Throws `ChainError` (`malformed`) where the metadata is not readable or lacks what is read here.
 */
export function eventReader(metadata: Uint8Array): EventReader {
  const unified = understood('the metadata', () => unifyMetadata(decAnyMetadata(metadata.slice())));
  const codec = understood('the metadata', () => getLookupCodecBuilder(getLookupFn(unified), AccountId(SS58_PREFIX))(eventsType(unified)));
  return (bytes) =>
    understood('the events', () => {
      // Where bytes lack the library reads on; what it finds there is no part of the events.
      const records: unknown = codec.dec(concatBytes(bytes, PADDING));
      if (!isSame(codec.enc(records), bytes)) throw new Error('they do not end where they should');
      return sorted(z.parse(z.array(recordSchema), records));
    });
}

/** The type of `System.Events`, if the events that are read here are in it: under another name they would be missed. */
function eventsType({ pallets, lookup }: UnifiedMetadata): number {
  for (const [pallet, name] of READ) {
    const type = pallets.find((p) => p.name === pallet)?.events?.type;
    const def = lookup.find((entry) => entry.id === type)?.def;
    if (def?.tag !== 'variant' || !def.value.some((variant) => variant.name === name)) throw new Error(`there is no ${pallet}.${name}`);
  }
  const item = pallets.find((p) => p.name === 'System')?.storage?.items.find((i) => i.name === 'Events');
  if (item?.type.tag !== 'plain') throw new Error('there is no System.Events');
  return item.type.value;
}

function sorted(records: z.output<typeof recordSchema>[]): BlockEvents {
  const found: BlockEvents = { transfers: [], outcomes: new Map() };
  for (const [index, { phase, event }] of records.entries()) {
    if (phase.type !== 'ApplyExtrinsic') continue;
    const extrinsic = z.parse(z.number(), phase.value);
    const name = `${event.type}.${event.value.type}`;
    if (name === 'System.ExtrinsicSuccess') found.outcomes.set(extrinsic, 'success');
    if (name === 'System.ExtrinsicFailed') found.outcomes.set(extrinsic, 'failed');
    if (name !== 'Balances.Transfer') continue;
    const { from, to, amount } = z.parse(transferSchema, event.value.value);
    found.transfers.push({ index, extrinsic, from, to, rao: amount });
  }
  return found;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The library throws whatever it meets; `null` even. */
function understood<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ChainError('malformed', `${what}: ${error instanceof Error ? error.message : 'not readable'}`.slice(0, 300));
  }
}
