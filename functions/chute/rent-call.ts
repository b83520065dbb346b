/** A period of rent, or a bounty, as the account sees it: a call whose id follows from what it is for, so that a repeat is the same. */
import type { CallId, RentAsk, Settlement } from '../calls/ports.ts';
import type { RentRow } from './state.ts';

/** A UUIDv8: SHA-256 of what names the period, or the bounty: of an instance there is one. */
export async function rentCall({ chute, instance, start, bounty }: RentRow): Promise<CallId> {
  const text = bounty === true ? `ripcord-bounty/1\n${chute}\n${instance}` : `ripcord-rent/1\n${chute}\n${instance}\n${start}`;
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))).subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export function rentAsk(rent: RentRow, call: CallId): RentAsk {
  const { chute, version, instance, terms, ms, bounty } = rent;
  return { call, chute, version, instance, terms, ms, ...(bounty === true ? { bounty } : {}) };
}

/** What an ended period comes to: the milliseconds the instance served. A bounty is paid whole. */
export function rentSettlement(rent: RentRow, call: CallId): Settlement {
  const { chute, version, instance, agent, hotkey, region, start } = rent;
  return {
    call,
    attempt: 0,
    account: rent.owner,
    key: '',
    chute,
    version,
    instance,
    agent,
    hotkey,
    outcome: 'completed',
    code: '',
    final: true,
    status: 200,
    bytes: 0,
    tokensIn: null,
    cachedIn: null,
    tokensOut: null,
    waitedMs: 0,
    cold: false,
    region,
    startedAt: start,
    firstByteMs: null,
    lastByteMs: (rent.end ?? start) - start,
    receipt: null,
  };
}
