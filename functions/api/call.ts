/** Any route of any chute: by id, by `owner/name`, or by host name. Method, body and content type go through. */
import { Hono, type Context } from 'hono';
import { LIMITS } from '#protocol';
import { anyBody, engineHeaders, ownTokenShape } from '../calls/shape.ts';
import { serve } from '../calls/serve.ts';
import { chuteNamed, chuteOfSlug } from '../calls/names.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { parseKey } from '../gate/keys.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

export const callApi = new Hono<{ Bindings: Env; Variables: Vars }>();

callApi.all('/call/:id{cht_[^/]+}/:path{.*}?', (c) => callNamed(c, c.req.param('id'), 3));
callApi.all('/call/:owner/:name/:path{.*}?', (c) => callNamed(c, `${c.req.param('owner')}/${c.req.param('name')}`, 4));

/** The slug in the request's host name, or null if it is the edge's own. */
export function slugOfHost(request: Request, env: Env): string | null {
  const host = (request.headers.get('host') ?? new URL(request.url).host).replace(/:\d+$/, '').toLowerCase();
  const suffix = `.${env.HOST_SUFFIX}`;
  return host.endsWith(suffix) ? host.slice(0, -suffix.length) : null;
}

export async function callSlug(c: Ctx, slug: string): Promise<Response> {
  const claim = await parseKey(c.req.header('authorization'), c.env);
  return call(c, await chuteOfSlug(slug, c.env), claim, 1);
}

async function callNamed(c: Ctx, name: string, from: number): Promise<Response> {
  const claim = await parseKey(c.req.header('authorization'), c.env);
  return call(c, await chuteNamed(name, c.env), claim, from);
}

/** `from`: index of the first path segment that belongs to the chute. */
async function call(c: Ctx, chute: string | null, claim: Awaited<ReturnType<typeof parseKey>>, from: number): Promise<Response> {
  const url = new URL(c.req.url);
  const path = `/${url.pathname.split('/').slice(from).join('/')}${url.search}`;
  if (path.length > 8192) throw new RipcordError('invalid_request', { message: 'The path is too long.' });
  let tooLarge = false;
  try {
    const body = await anyBody(c.req.raw, () => (tooLarge = true));
    return await serve(c, {
      claim,
      chute,
      method: c.req.method,
      path,
      headers: engineHeaders(c.req.raw.headers),
      body,
      bodyBytes: Number(c.req.header('content-length') ?? LIMITS.bodyBytes),
      ...ownTokenShape(path, body),
      stream: false,
      affinity: c.get('requestId'),
      instance: c.req.header('x-ripcord-instance') ?? null,
    });
  } catch (error) {
    // What came of the call is the upload's doing.
    if (tooLarge) throw new RipcordError('body_too_large');
    throw error instanceof RipcordError && error.code === 'not_found' ? new RipcordError('chute_not_found', error.detail) : error;
  }
}
