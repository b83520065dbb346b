/** The edge's table of contents: what a request meets, in order. */
import { Hono } from 'hono';
import { isBadText, isUnanswered } from '#db';
import { accountsApi } from './api/accounts.ts';
import { agentsApi } from './api/agents.ts';
import { alertsApi } from './api/alerts.ts';
import { auditApi } from './api/audit.ts';
import { billingApi } from './api/billing.ts';
import { callApi, callSlug, slugOfHost } from './api/call.ts';
import { callsApi } from './api/calls.ts';
import { challengesApi } from './api/challenges.ts';
import { chutesApi } from './api/chutes.ts';
import { depositsApi } from './api/deposits.ts';
import { discardBody } from './api/discard.ts';
import { earningsApi } from './api/earnings.ts';
import { epochsApi } from './api/epochs.ts';
import { idempotent } from './api/idempotent.ts';
import { internalApi } from './api/internal.ts';
import { keysApi } from './api/keys.ts';
import { marketApi } from './api/market.ts';
import { metricsApi } from './api/metrics.ts';
import { minersApi } from './api/miners.ts';
import { openaiApi } from './api/openai.ts';
import { usageApi } from './api/usage.ts';
import { pricesApi } from './api/prices.ts';
import { secretsApi } from './api/secrets.ts';
import { shareApi } from './api/share.ts';
import type { Vars } from './api/vars.ts';
import { transcriptsApi } from './api/transcripts.ts';
import { verdictsApi } from './api/verdicts.ts';
import { warmupApi } from './api/warmup.ts';
import { whyApi } from './api/why.ts';
import { newCallId } from './calls/call-id.ts';
import { rateHeaders } from './calls/rate.ts';
import { checkEnv, type Env } from './env.ts';
import { RipcordError, errorResponse } from './errors.ts';
import { event, whyOf } from './events.ts';

export const app = new Hono<{ Bindings: Env; Variables: Vars }>();

app.use(async (c, next) => {
  checkEnv(c.env);
  c.set('requestId', newCallId(Date.now(), crypto.getRandomValues(new Uint8Array(16))));
  if (!URL.canParse(c.req.url)) throw new RipcordError('invalid_request', { message: 'The Host header is not a host.' });
  const slug = slugOfHost(c.req.raw, c.env);
  if (slug !== null) return callSlug(c, slug);
  await next();
  if (c.res.status !== 101 && !c.res.headers.has('x-request-id')) c.res.headers.set('x-request-id', c.get('requestId'));
  for (const [name, value] of rateHeaders(c.get('rate'))) c.res.headers.set(name, value);
  return undefined;
});

app.use(idempotent);

app.route('/', openaiApi);
app.route('/', callApi);
app.route('/', callsApi);
app.route('/', whyApi);
app.route('/', chutesApi);
app.route('/', warmupApi);
app.route('/', pricesApi);
app.route('/', secretsApi);
app.route('/', shareApi);
app.route('/', metricsApi);
app.route('/', marketApi);
app.route('/', accountsApi);
app.route('/', alertsApi);
app.route('/', depositsApi);
app.route('/', keysApi);
app.route('/', billingApi);
app.route('/', usageApi);
app.route('/', agentsApi);
app.route('/', earningsApi);
app.route('/', minersApi);
app.route('/', auditApi);
app.route('/', challengesApi);
app.route('/', transcriptsApi);
app.route('/', verdictsApi);
app.route('/', epochsApi);
app.route('/', internalApi);

app.notFound((c) => errorResponse(new RipcordError('not_found'), shapeOf(c.req.path), c.get('requestId') ?? ''));

app.onError(async (error, c) => {
  await discardBody(c.req.raw);
  const requestId = c.get('requestId') ?? '';
  if (isUnanswered(error)) {
    const down = new RipcordError('unavailable', { message: 'The record does not answer.', retryAfterMs: 5_000 });
    return errorResponse(down, shapeOf(c.req.path), requestId);
  }
  if (isBadText(error)) {
    const wrong = new RipcordError('invalid_request', { message: 'A text holds the character U+0000.' });
    return errorResponse(wrong, shapeOf(c.req.path), requestId);
  }
  if (!(error instanceof RipcordError)) event('internal_error', { call: requestId, why: whyOf(error, 300) });
  return errorResponse(error, shapeOf(c.req.path), requestId);
});

function shapeOf(path: string): 'openai' | 'problem' {
  return path.startsWith('/v1/') ? 'openai' : 'problem';
}
