/** The chat chute: builds the model, then serves it. `PORT`, `HOST`, `TOKEN_DELAY_MS` and `MODEL_NAME` are its settings. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { planChat } from './chat.ts';
import { planCompletion } from './completions.ts';
import { readCorpus } from './corpus.ts';
import { ApiError, readObject, sendJson } from './http.ts';
import { LanguageModel } from './model.ts';
import { reply } from './reply.ts';

const { PORT = '8000', HOST = '127.0.0.1', TOKEN_DELAY_MS = '8', MODEL_NAME = 'demo/chat' } = process.env;
const delayMs = Math.min(10_000, Math.max(0, Number(TOKEN_DELAY_MS) || 0));

const model = new LanguageModel(readCorpus());
const started = Math.floor(Date.now() / 1000);
const card = { id: MODEL_NAME, object: 'model', created: started, owned_by: MODEL_NAME.split('/')[0] };
/** Replies being written. */
let active = 0;

const PLANS = { '/v1/chat/completions': planChat, '/v1/completions': planCompletion };

async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const asked = `${request.method} ${path}`;
  if (asked === 'GET /health') return sendJson(response, 200, { status: 'ok', active });
  if (asked === 'GET /v1/models') return sendJson(response, 200, { object: 'list', data: [card] });
  if (asked === `GET /v1/models/${MODEL_NAME}`) return sendJson(response, 200, card);
  if (path !== '/v1/chat/completions' && path !== '/v1/completions') {
    throw new ApiError(404, `Unknown route: ${asked}.`, null, 'not_found');
  }
  if (request.method !== 'POST') throw new ApiError(405, `${path} takes POST.`, null, 'method_not_allowed');
  const job = PLANS[path](await readObject(request), model, delayMs);
  const left = new AbortController();
  response.on('close', () => left.abort());
  active += 1;
  try {
    await reply(job, model, response, left.signal);
  } finally {
    active -= 1;
  }
}

/** A refusal becomes its body; a client that left needs none; anything else is our fault and is logged. */
function answerFailure(response: ServerResponse, error: unknown): void {
  if (response.destroyed || (error instanceof Error && error.name === 'AbortError')) return;
  if (!(error instanceof ApiError)) console.error(error);
  const failure = error instanceof ApiError ? error : new ApiError(500, 'The model failed.');
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
  console.log(`listening on http://${HOST}:${port} · ${model.vocabulary.size} tokens known · ${model.fingerprint}`);
});
process.on('SIGTERM', () => process.exit(0));
