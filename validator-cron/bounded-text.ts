/** Reads a body as text up to a bound; what lies beyond is never held. */

export interface BoundedText {
  text: string;
  /** False: there was more than the bound. */
  whole: boolean;
}

/** `seen` is told the text so far after each chunk. Throws what the stream throws. */
export async function readText(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  seen?: (text: string) => void,
): Promise<BoundedText> {
  if (body === null) return { text: '', whole: true };
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), whole: true };
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      await reader.cancel().catch(() => {});
      return { text, whole: false };
    }
    text += decoder.decode(value, { stream: true });
    seen?.(text);
  }
}
