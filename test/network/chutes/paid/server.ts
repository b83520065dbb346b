/** Chat completions and pictures whose size, claims and failures are fields of the request. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const { PORT = '8000', HOST = '127.0.0.1' } = process.env;

interface Ask {
  model?: string;
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
  /** Tokens to say, two letters each; default 4. */
  say?: number;
  /** What the usage claims; null: there is none. */
  claim?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens: number } } | null;
  status?: number;
  /** After so many tokens: the connection breaks, an event that is none is sent, or nothing more comes. */
  after?: number;
  ends?: 'break' | 'nonsense' | 'wait';
  /** Milliseconds until the reply; of a stream, a pause after every 16 tokens. */
  ms?: number;
}

const WORD = 'ab';

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const ask = await bodyOf(request);
  const { status = 200, ms = 0 } = ask;
  if (request.url === '/v1/chat/completions') return ask.stream === true ? stream(response, ask) : whole(response, ask);
  await sleep(ms);
  response.writeHead(status, { 'content-type': 'text/plain', 'content-length': 4 });
  response.end('done');
}

const identity = (ask: Ask, object: string) => ({ id: 'chatcmpl-paid', object, created: 1_700_000_000, model: ask.model ?? '' });
const claimOf = ({ claim, say = 4 }: Ask) =>
  claim === undefined ? { prompt_tokens: 3, completion_tokens: say, total_tokens: 3 + say } : claim;

function whole(response: ServerResponse, ask: Ask): void {
  const choices = [{ index: 0, message: { role: 'assistant', content: WORD.repeat(ask.say ?? 4) }, finish_reason: 'stop' }];
  const usage = claimOf(ask);
  const body = JSON.stringify({ ...identity(ask, 'chat.completion'), choices, ...(usage === null ? {} : { usage }) });
  response.writeHead(ask.status ?? 200, { 'content-type': 'application/json' });
  if (ask.ends === 'break') {
    response.write(body.slice(0, body.length / 2));
    setTimeout(() => response.destroy(), 50);
  } else response.end(body);
}

async function stream(response: ServerResponse, ask: Ask): Promise<void> {
  const { say = 4, after = Infinity } = ask;
  const chunk = (choices: unknown[], more = {}): string =>
    `data: ${JSON.stringify({ ...identity(ask, 'chat.completion.chunk'), choices, ...more })}\n\n`;
  response.writeHead(ask.status ?? 200, { 'content-type': 'text/event-stream' });
  response.write(chunk([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]));
  for (let i = 0; i < Math.min(say, after); i++) {
    response.write(chunk([{ index: 0, delta: { content: WORD }, finish_reason: null }]));
    // As an engine does: a little at a time.
    if (i % 16 === 15) await sleep(ask.ms ?? 2);
    if (response.destroyed) return;
  }
  if (after < say) return end(response, ask);
  response.write(chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]));
  const usage = claimOf(ask);
  if (usage !== null && ask.stream_options?.include_usage === true) response.write(chunk([], { usage }));
  response.end('data: [DONE]\n\n');
}

async function end(response: ServerResponse, { ends }: Ask): Promise<void> {
  if (ends === 'nonsense') response.write('data: nonsense\n\n');
  if (ends === 'break') {
    await sleep(50);
    response.destroy();
  }
}

async function bodyOf(request: IncomingMessage): Promise<Ask> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  try {
    return JSON.parse(Buffer.concat(parts).toString()) as Ask;
  } catch {
    return {};
  }
}

const server = createServer((request, response) => {
  if (request.url === '/health') response.end('ok');
  else answer(request, response).catch(() => response.destroy());
});
server.listen(Number(PORT), HOST);
process.on('SIGTERM', () => process.exit(0));
