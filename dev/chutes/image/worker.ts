/** One picture's work, in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { decode, encode } from './codecs.ts';
import { labelsOf, METHOD } from './label.ts';
import { type Format, RefusedError } from './picture.ts';
import { transform } from './transform.ts';
import type { Result, Task } from './work.ts';

function perform({ path, query, bytes }: Task): Result {
  const search = new URLSearchParams(query);
  const { format, picture } = decode(Buffer.from(bytes));
  if (path === '/transform') {
    const wanted = formatOf(search, format);
    return { type: `image/${wanted}`, bytes: encode(transform(picture, search), wanted) };
  }
  const { width, height } = picture;
  const reply = { width, height, method: METHOD, labels: labelsOf(picture) };
  return { type: 'application/json', bytes: Buffer.from(JSON.stringify(reply)) };
}

function formatOf(search: URLSearchParams, otherwise: Format): Format {
  const format = search.get('format') ?? otherwise;
  if (format === 'png' || format === 'jpeg') return format;
  throw new RefusedError(400, 'invalid_parameter', "Invalid 'format': expected png or jpeg.");
}

try {
  parentPort?.postMessage(perform(workerData as Task));
} catch (error) {
  if (!(error instanceof RefusedError)) throw error;
  parentPort?.postMessage(error.refusal);
}
