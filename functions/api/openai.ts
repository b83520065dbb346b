/** `/v1`: what OpenAI's clients speak. */
import { Hono, type Context } from 'hono';
import { bufferedBody, chatShape, engineHeaders } from '../calls/shape.ts';
import { serve } from '../calls/serve.ts';
import { chuteNamed } from '../calls/names.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { parseKey } from '../gate/keys.ts';
import { marketListings } from '../market/copy.ts';
import { FREE } from '../prices/now.ts';
import { pricingOf } from '../prices/shown.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

export const openaiApi = new Hono<{ Bindings: Env; Variables: Vars }>();

for (const route of ['/v1/chat/completions', '/v1/completions', '/v1/embeddings']) {
  openaiApi.post(route, (c) => infer(c, route));
}

openaiApi.get('/v1/models', async (c) => {
  const models = (await marketListings(c.env)).filter((l) => l.template === 'openai');
  return c.json({
    object: 'list',
    data: models.map((l) => ({
      id: l.name,
      object: 'model',
      created: Math.floor(l.created / 1000),
      owned_by: l.name.split('/')[0],
      chute_id: l.chute,
      root: l.name,
      parent: null,
      ...pricingOf(l.terms ?? FREE),
    })),
  });
});

async function infer(c: Ctx, path: string): Promise<Response> {
  const claim = await parseKey(c.req.header('authorization'), c.env);
  const body = await bufferedBody(c.req.raw);
  const shape = chatShape(path, body);
  try {
    return await serve(c, {
      claim,
      chute: await chuteNamed(shape.model, c.env),
      method: 'POST',
      path,
      headers: engineHeaders(c.req.raw.headers),
      body,
      bodyBytes: body.byteLength,
      maxTokens: shape.maxTokens,
      stream: shape.stream,
      tokens: shape.tokens,
      affinity: shape.affinity,
      instance: c.req.header('x-ripcord-instance') ?? null,
    });
  } catch (error) {
    throw error instanceof RipcordError && error.code === 'not_found'
      ? new RipcordError('model_not_found', { ...error.detail, param: 'model', hint: 'GET /v1/models lists what this service serves.' })
      : error;
  }
}
