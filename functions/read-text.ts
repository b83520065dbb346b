/** The text of a reply that the edge asked for, at most so many bytes of it; null: it is longer, and what is left is not waited for. */
export async function readText({ body }: Response, most: number): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.byteLength;
    if (bytes > most) return null;
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}
