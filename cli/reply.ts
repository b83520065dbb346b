/** Reads replies within bounds, whoever sends them. */
import { EXIT, Failure } from './failure.ts';

/** Bytes of one JSON answer, and of one line of a stream. */
const MAX_JSON = 16 * 1024 * 1024;
const MAX_LINE = 1024 * 1024;

type Broken = (error: unknown) => Failure;

/** The whole reply as text. Throws a `Failure` if it is longer than a JSON answer can be. */
export async function readBounded(reply: Response, broken: Broken, limit = MAX_JSON): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  try {
    for await (const chunk of reply.body ?? []) {
      size += chunk.length;
      if (size > limit) throw new Failure(EXIT.refused, 'reply_too_large', `The reply is longer than ${limit} bytes.`);
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    throw broken(error);
  }
  return text + decoder.decode();
}

/** The lines of a reply as they come, without their ends; `\n`, `\r\n`. */
export async function* readLines(reply: Response, broken: Broken): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of reply.body ?? []) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE)
        throw new Failure(EXIT.refused, 'reply_too_large', `A line of the reply is longer than ${MAX_LINE} characters.`);
      for (const line of lines) yield line.replace(/\r$/, '');
    }
  } catch (error) {
    throw broken(error);
  }
  if (rest !== '') yield rest.replace(/\r$/, '');
}
