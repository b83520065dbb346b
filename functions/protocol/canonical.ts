/** One text for one value, so that whoever hashes the same facts gets the same hash: keys in order, no spaces, whole numbers. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

/** JSON with the keys of every object in rising order. Throws for a number that is not whole and safe: texts of others differ between languages. */
export function canonicalJson(value: unknown): string {
  return textOf(value, wholeText);
}

/** The same with any number, as this language writes it. */
export function sortedJson(value: unknown): string {
  return textOf(value, JSON.stringify);
}

function textOf(value: unknown, number: (value: number) => string): string {
  if (typeof value === 'number') return number(value);
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item ?? null, number)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${textOf(member, number)}`).join(',')}}`;
}

function wholeText(value: number): string {
  if (!Number.isSafeInteger(value)) throw new TypeError(`no canonical text for ${value}`);
  return JSON.stringify(value);
}

/** SHA-256 in hex, of bytes or of a text's UTF-8. */
export function sha256Of(data: string | Uint8Array): string {
  return bytesToHex(sha256(typeof data === 'string' ? utf8ToBytes(data) : data));
}
