/** The embed chute: texts in, vectors out. `PORT`, `HOST` and `MODEL_NAME` are its settings. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { countTokens, embed, toBase64 } from './embed.ts';
import { ApiError, readObject, sendJson } from './http.ts';
import { type Job, readJob } from './request.ts';

const { PORT = '8000', HOST = '127.0.0.1', MODEL_NAME = 'demo/embed' } = process.env;
const started = Math.floor(Date.now() / 1000);
const card = { id: MODEL_NAME, object: 'model', created: started, owned_by: MODEL_NAME.split('/')[0] };

async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const asked = `${request.method} ${path}`;
  if (asked === 'GET /health') return sendJson(response, 200, { status: 'ok' });
  if (asked === 'GET /v1/models') return sendJson(response, 200, { object: 'list', data: [card] });
  if (asked === `GET /v1/models/${MODEL_NAME}`) return sendJson(response, 200, card);
  if (path !== '/v1/embeddings') throw new ApiError(404, `Unknown route: ${asked}.`, null, 'not_found');
  if (request.method !== 'POST') throw new ApiError(405, `${path} takes POST.`, null, 'method_not_allowed');
  sendJson(response, 200, await answer(readJob(await readObject(request)), response));
}

/** Leaves the thread to others between texts, and stops when nobody waits for the rest. */
async function answer(job: Job, response: ServerResponse): Promise<object> {
  const data = [];
  for (const [index, text] of job.texts.entries()) {
    if (response.destroyed) break;
    const vector = embed(text, job.dimensions);
    data.push({ object: 'embedding', index, embedding: job.base64 ? toBase64(vector) : [...vector] });
    await turn();
  }
  const tokens = job.texts.reduce((sum, text) => sum + countTokens(text), 0);
  return { object: 'list', data, model: job.model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

function answerFailure(response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  if (!(error instanceof ApiError)) console.error(error);
  const failure = error instanceof ApiError ? error : new ApiError(500, 'The embedding failed.');
  if (response.headersSent) response.destroy();
  else sendJson(response, failure.status, failure.body());
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
