/**
 * A checkpoint as the agent keeps it: the object's own state, sealed so that the agent cannot write a better one. It
 * saves the object a durable write per quarter second and stream.
 */
import type { Meter } from './meter.ts';
import type { Checkpoint } from './reply.ts';

/** HMAC-SHA-256 of the edge, synchronous. */
export type Mac = (bytes: Uint8Array) => Uint8Array;

/** A checkpoint, and what else a settlement needs of a reply that nobody goes on with. */
export interface Kept extends Checkpoint {
  /** Of the reply; null in a checkpoint of an older deploy. */
  status: number | null;
}

const MAC_BYTES = 16;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What has to be true again at a resume; bound to the attempt. */
export function sealCheckpoint(mac: Mac, attempt: string, c: Kept): Uint8Array {
  const m = c.meter;
  const body = encoder.encode(
    JSON.stringify([c.offset, c.client, m.bytes, m.events, m.text, m.claimIn, m.claimOut, m.claimCached, c.status]),
  );
  const out = new Uint8Array(MAC_BYTES + body.byteLength);
  out.set(tag(mac, attempt, body));
  out.set(body, MAC_BYTES);
  return out;
}

/** The checkpoint, or null if it is not one of ours for this attempt. */
export function openCheckpoint(mac: Mac, attempt: string, sealed: Uint8Array): Kept | null {
  if (sealed.byteLength <= MAC_BYTES) return null;
  const body = sealed.subarray(MAC_BYTES);
  if (!equal(tag(mac, attempt, body), sealed.subarray(0, MAC_BYTES))) return null;
  const [offset, client, bytes, events, text, claimIn, claimOut, claimCached, status] = JSON.parse(decoder.decode(body)) as [
    number,
    number,
    number,
    number,
    number,
    Meter['claimIn'],
    Meter['claimOut'],
    Meter['claimCached'] | undefined,
    Kept['status'] | undefined,
  ];
  return { offset, client, meter: { bytes, events, text, claimIn, claimOut, claimCached: claimCached ?? null }, status: status ?? null };
}

function tag(mac: Mac, attempt: string, body: Uint8Array): Uint8Array {
  const name = encoder.encode(`${attempt}\n`);
  const all = new Uint8Array(name.byteLength + body.byteLength);
  all.set(name);
  all.set(body, name.byteLength);
  return mac(all).subarray(0, MAC_BYTES);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  let diff = a.byteLength ^ b.byteLength;
  for (let i = 0; i < a.byteLength; i++) diff |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return diff === 0;
}
