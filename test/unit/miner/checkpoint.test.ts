/** An agent keeps checkpoints for the edge; it can lose them, but neither write nor swap them. */
import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { openCheckpoint, sealCheckpoint, type Kept, type Mac } from '../../../functions/miner/checkpoint.ts';

const mac =
  (key: string): Mac =>
  (bytes) =>
    createHmac('sha256', key).update(bytes).digest();
const ours = mac('ours');
const CALL = '01890000-0000-7000-8000-000000000001';
const meter = { bytes: 900, events: 8, text: 80, claimIn: null, claimOut: 4, claimCached: null };
const checkpoint: Kept = { offset: 1000, client: 900, meter, status: 200 };
const sealed = sealCheckpoint(ours, `${CALL}/0`, checkpoint);

test('what was sealed is opened', () => {
  expect(openCheckpoint(ours, `${CALL}/0`, sealed)).toEqual(checkpoint);
});

test('no byte can be changed, none left out, none added', () => {
  for (let at = 0; at < sealed.byteLength; at++) {
    const changed = sealed.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(openCheckpoint(ours, `${CALL}/0`, changed), `byte ${at}`).toBeNull();
    expect(openCheckpoint(ours, `${CALL}/0`, sealed.slice(0, at)), `cut at ${at}`).toBeNull();
  }
  expect(openCheckpoint(ours, `${CALL}/0`, new Uint8Array([...sealed, 0x20]))).toBeNull();
});

test.each([
  ['another attempt of the call', `${CALL}/1`, ours],
  ['another call', `${CALL.replace('1', '2')}/0`, ours],
  ['a name that ends like it', `x${CALL}/0`, ours],
  ['another edge', `${CALL}/0`, mac('theirs')],
])('it is not one of %s', (_, attempt, key) => {
  expect(openCheckpoint(key, attempt, sealed)).toBeNull();
});

test('an agent that seals by itself is not believed', () => {
  expect(openCheckpoint(ours, `${CALL}/0`, sealCheckpoint(mac('guess'), `${CALL}/0`, { ...checkpoint, client: 0 }))).toBeNull();
});

test('it fits into what the wire gives it', () => {
  const large = Number.MAX_SAFE_INTEGER;
  const full = { bytes: large, events: large, text: large, claimIn: large, claimOut: large, claimCached: large };
  // An ACK payload is 256 bytes, 8 of them the offset; in `hello` it is base64url of at most 512 characters.
  expect(sealCheckpoint(ours, `${CALL}/99`, { offset: large, client: large, meter: full, status: 599 }).byteLength).toBeLessThanOrEqual(
    248,
  );
});
