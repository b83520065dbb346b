/** A body between Worker and object: the same bytes however they are cut, at once, and an end only where it ended. */
import { expect, test } from 'vitest';
import { Upload, withEnd } from '../../../functions/miner/upload.ts';

const streamOf = (pieces: Uint8Array[], failure?: Error): ReadableStream<Uint8Array> => {
  const left = [...pieces];
  return new ReadableStream({
    pull(controller) {
      const piece = left.shift();
      if (piece !== undefined) controller.enqueue(piece);
      else if (failure === undefined) controller.close();
      else controller.error(failure);
    },
  });
};

async function written(body: ReadableStream<Uint8Array>): Promise<{ bytes: Uint8Array; broke: boolean }> {
  const parts: Uint8Array[] = [];
  try {
    for await (const part of withEnd(body)) parts.push(part);
  } catch {
    return { bytes: Buffer.concat(parts), broke: true };
  }
  return { bytes: Buffer.concat(parts), broke: false };
}

async function read(wire: Uint8Array[]): Promise<string> {
  const upload = new Upload(streamOf(wire));
  const parts: Uint8Array[] = [];
  for (let part = await upload.read(); part !== null; part = await upload.read()) {
    expect(part.byteLength).toBeGreaterThan(0);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

test.each([[[]], [['']], [['hello']], [['a', '', 'bc']], [['x'.repeat(300), 'y']]])('%j comes as it was, cut anywhere', async (pieces) => {
  const { bytes } = await written(streamOf(pieces.map(text)));
  for (let at = 0; at <= bytes.byteLength; at++) expect(await read([bytes.subarray(0, at), bytes.subarray(at)])).toBe(pieces.join(''));
  expect(await read([...bytes].map((byte) => Uint8Array.of(byte)))).toBe(pieces.join(''));
});

test('cut short anywhere it is broken, never complete', async () => {
  const { bytes } = await written(streamOf([text('hello'), text('there')]));
  for (let at = 0; at < bytes.byteLength; at++) await expect(read([bytes.subarray(0, at)])).rejects.toThrow('the upload broke');
});

test('a body that fails has no end', async () => {
  const { bytes, broke } = await written(streamOf([text('hello')], new Error('gone')));
  expect(broke).toBe(true);
  await expect(read([bytes])).rejects.toThrow('the upload broke');
});

test('what came is given before more comes', async () => {
  const wire = new TransformStream<Uint8Array, Uint8Array>();
  const upload = new Upload(withEnd(wire.readable));
  const writer = wire.writable.getWriter();
  for (const word of ['a', 'b', 'c']) {
    void writer.write(text(word));
    expect(Buffer.from((await upload.read()) ?? []).toString()).toBe(word);
  }
  void writer.close();
  expect(await upload.read()).toBeNull();
});
