/** Answers with as many tokens as it is asked for, whole or streamed, and keeps a receipt of every reply it finished. */
import { appendFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';

const { PORT = '8000', HOST = '127.0.0.1', RECEIPTS = '.' } = process.env;
const FILE = join(RECEIPTS, `${process.pid}.ndjson`);

interface Asked {
  stream: boolean;
  tokens: number;
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number; prompt_tokens_details: { cached_tokens: number } };
}

createServer((request, response) => {
  if (request.url === '/health') response.end('ok');
  else
    reply(request, response).catch(() => {
      response.destroy();
    });
}).listen(Number(PORT), HOST);

async function reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { stream, tokens, usage } = await asked(request);
  const call = request.headers['x-bank-call'];
  response.once('finish', () => {
    const line = { call, in: usage.prompt_tokens, cached: usage.prompt_tokens_details.cached_tokens, out: tokens };
    appendFileSync(FILE, `${JSON.stringify(line)}\n`);
  });
  const id = `chatcmpl-${String(call)}`;
  if (!stream) {
    response.setHeader('content-type', 'application/json');
    const message = { role: 'assistant', content: 'tok '.repeat(tokens) };
    response.end(JSON.stringify({ id, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }], usage }));
    return;
  }
  response.setHeader('content-type', 'text/event-stream');
  for (let k = 0; k < tokens; k++) {
    response.write(event({ id, object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: 'tok ' } }] }));
  }
  response.write(event({ id, object: 'chat.completion.chunk', choices: [], usage }));
  response.end('data: [DONE]\n\n');
}

async function asked(request: IncomingMessage): Promise<Asked> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const body = Buffer.concat(parts);
  const { stream, max_tokens: tokens } = JSON.parse(body.toString()) as { stream: boolean; max_tokens: number };
  const prompt = Math.floor(body.length / 5);
  const cached = prompt % 7;
  return {
    stream,
    tokens,
    usage: {
      prompt_tokens: prompt,
      completion_tokens: tokens,
      total_tokens: prompt + tokens,
      prompt_tokens_details: { cached_tokens: cached },
    },
  };
}

function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
