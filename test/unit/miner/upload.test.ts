/** A streamed body on its way to a Miner object: every byte at once, and never half a body for a whole one. */
import { expect, test } from 'vitest';
import { Upload, withEnd } from '../../../functions/miner/upload.ts';

function bodyOf(...chunks: (Uint8Array | Error)[]): ReadableStream<Uint8Array> {
  const left = [...chunks];
  return new ReadableStream({
    pull(controller) {
      const next = left.shift();
      if (next === undefined) controller.close();
      else if (next instanceof Error) controller.error(next);
      else controller.enqueue(next);
    },
  });
}

/** The same bytes in chunks of this size, as a transport may cut them. */
async function recut(stream: ReadableStream<Uint8Array>, size: number): Promise<ReadableStream<Uint8Array>> {
  const all = new Uint8Array(await new Response(stream).arrayBuffer());
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < all.byteLength; at += size) chunks.push(all.subarray(at, at + size));
  return bodyOf(...chunks);
}

async function readAll(upload: Upload): Promise<number[]> {
  const bytes: number[] = [];
  for (let part = await upload.read(); part !== null; part = await upload.read()) bytes.push(...part);
  return bytes;
}

const first = Uint8Array.from({ length: 300 }, (_, i) => i % 251);
const second = Uint8Array.of(0, 0, 0, 0, 4);

test.each([1, 2, 3, 5, 7, 64, 1_000])('cut into chunks of %i bytes it is the same body', async (size) => {
  const upload = new Upload(await recut(withEnd(bodyOf(first, new Uint8Array(0), second)), size));
  expect(await readAll(upload)).toEqual([...first, ...second]);
});

test('an empty body is complete', async () => {
  expect(await readAll(new Upload(withEnd(bodyOf())))).toEqual([]);
});

test('the first bytes do not wait for the next', async () => {
  let push: ReadableStreamDefaultController<Uint8Array> | undefined;
  const upload = new Upload(withEnd(new ReadableStream<Uint8Array>({ start: (controller) => void (push = controller) })));
  push?.enqueue(first);
  expect(await upload.read()).toEqual(first);
});

test('a body that fails, or is cut anywhere, is never complete', async () => {
  await expect(readAll(new Upload(withEnd(bodyOf(first, new Error('gone')))))).rejects.toThrow();
  const whole = new Uint8Array(await new Response(withEnd(bodyOf(first, second))).arrayBuffer());
  for (let cut = 0; cut < whole.byteLength; cut++) await expect(readAll(new Upload(bodyOf(whole.slice(0, cut))))).rejects.toThrow('broke');
});
