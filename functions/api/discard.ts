/** What is left of a body that nobody wants: a client that is cut while it sends never sees why it was refused. */

/** Bytes, and milliseconds, that are spent on it. */
const BYTES = 32 * 1024 * 1024;
const PATIENCE_MS = 3_000;

/** Never throws. */
export async function discardBody(request: Request): Promise<void> {
  // One that was read in part counts as used.
  if (request.body === null || request.body.locked) return;
  const reader = request.body.getReader();
  await Promise.race([drain(reader), scheduler.wait(PATIENCE_MS)]).catch(() => {});
  await reader.cancel().catch(() => {});
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  let bytes = 0;
  for (let part = await reader.read(); !part.done && bytes < BYTES; part = await reader.read()) bytes += part.value.byteLength;
}
