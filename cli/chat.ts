/** A chat completion from a prompt: the text as it is written. */
import { chatChunkSchema } from './answers.ts';
import { CALL_TIMEOUT_MS } from './client.ts';
import { EXIT, Failure } from './failure.ts';
import { printable, write } from './io.ts';
import { refusalFrom, refusalOf } from './refusal.ts';
import { readBounded, readLines } from './reply.ts';
import type { Session } from './session.ts';

/** Asks and prints. With `--json` the answer comes whole, as the API gives it. */
export async function chat(session: Session, model: string, prompt: string): Promise<void> {
  const { io, client } = session;
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: prompt }], stream: !session.json });
  const reply = await client.request('POST', '/v1/chat/completions', {
    body,
    headers: { 'content-type': 'application/json' },
    timeoutMs: CALL_TIMEOUT_MS,
  });
  if (!reply.ok) throw await refusalOf(reply, client.origin);
  if (session.json) return write(io, io.out, `${(await readBounded(reply, broken)).trim()}\n`);
  let ended = false;
  let last = '';
  for await (const line of readLines(reply, broken)) {
    const data = /^data: ?(.*)$/.exec(line)?.[1];
    if (data === undefined) continue;
    if ((ended = data === '[DONE]')) break;
    const text = textOf(reply, data);
    if (text !== '') last = text;
    await write(io, io.out, io.out.isTTY === true ? printable(text) : text);
  }
  if (last !== '' && !last.endsWith('\n')) await write(io, io.out, '\n');
  if (!ended) throw new Failure(EXIT.refused, 'stream_broken', 'The answer broke off before its end.', { hint: 'Ask again.' });

  function broken(error: unknown): Failure {
    return client.broken(error);
  }
}

/** The text of one event. Throws the refusal if the event is an error. */
function textOf(reply: Response, data: string): string {
  const refusal = data.includes('"error"') ? refusalFrom(reply, data) : null;
  if (refusal !== null) throw refusal;
  const chunk = chatChunkSchema.safeParse(parse(data));
  return chunk.success ? (chunk.data.choices[0]?.delta?.content ?? '') : '';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
