/** Reads a body up to a bound; what lies beyond is never held. */

type Body = ReadableStream<Uint8Array> | null;

/** `whole` false: there was more than the bound. `seen` is told the text so far after each chunk. Throws what the stream throws. */
export async function readText(body: Body, maxBytes: number, seen?: (text: string) => void): Promise<{ text: string; whole: boolean }> {
  const decoder = new TextDecoder();
  let text = '';
  const whole = await read(body, maxBytes, (chunk) => {
    text += decoder.decode(chunk, { stream: true });
    seen?.(text);
  });
  return { text: whole ? text + decoder.decode() : text, whole };
}

export async function readBytes(body: Body, maxBytes: number): Promise<{ bytes: Uint8Array; whole: boolean }> {
  const chunks: Uint8Array[] = [];
  const whole = await read(body, maxBytes, (chunk) => chunks.push(chunk));
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return { bytes, whole };
}

async function read(body: Body, maxBytes: number, take: (chunk: Uint8Array) => unknown): Promise<boolean> {
  if (body === null) return true;
  const reader = body.getReader();
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return true;
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      await reader.cancel().catch(() => {});
      return false;
    }
    take(value);
  }
}
