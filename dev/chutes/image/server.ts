/** The image chute: takes pictures, gives them to workers. `PORT` and `HOST` are its settings. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { LIMITS, RefusedError } from './picture.ts';
import { work } from './work.ts';

const { PORT = '8000', HOST = '127.0.0.1' } = process.env;

async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
  if (path === '/health' && request.method === 'GET') return send(response, 200, 'application/json', '{"status":"ok"}');
  if (path !== '/transform' && path !== '/label')
    throw new RefusedError(404, 'not_found', 'The routes are POST /transform and POST /label.');
  if (request.method !== 'POST') throw new RefusedError(405, 'method_not_allowed', `${path} takes POST.`);
  const { type, bytes } = await work({ path, query, bytes: await readBody(request) });
  send(response, 200, type, bytes);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // What is too much is read on and forgotten: a client that is still sending would not see a refusal.
    if (bytes <= LIMITS.bytes) chunks.push(chunk);
  }
  if (bytes > LIMITS.bytes) throw new RefusedError(413, 'body_too_large', `The body has more than ${LIMITS.bytes} bytes.`);
  if (bytes === 0) throw new RefusedError(400, 'empty_body', 'Send a PNG or JPEG as the body.');
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, status: number, type: string, body: Uint8Array | string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function answerFailure(response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  if (!(error instanceof RefusedError)) console.error(error);
  const failed = { status: 500, code: 'failed', message: 'The picture could not be worked on.' };
  const { status, code, message } = error instanceof RefusedError ? error.refusal : failed;
  send(response, status, 'application/json', JSON.stringify({ error: { code, message } }));
}

/** Never throws. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    await route(request, response);
  } catch (error) {
    answerFailure(response, error);
  }
}

const server = createServer((request, response) => void serve(request, response));

server.listen(Number(PORT), HOST, () => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : PORT;
  console.log(`listening on http://${HOST}:${port}`);
});
process.on('SIGTERM', () => process.exit(0));
