/** How an agent logs in: a stateless challenge, then a WebSocket upgrade signed by its hotkey. Only then is its object touched. */
import { Hono } from 'hono';
import {
  LOGIN_HEADER,
  SERVING_HEADER,
  LIMITS,
  NEWEST_AGENT,
  PROTOCOL_VERSIONS,
  SESSION_MARGIN_MS,
  challengeRequestSchema,
  chooseVersion,
  firstIssue,
  loginSchema,
  loginText,
  type Login,
} from '#protocol';
import { checkRegistered } from '../chain/registered.ts';
import { isRefused, type Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { event } from '../events.ts';
import { Admission } from '../gate/admission.ts';
import { sameText } from '../gate/constant-time.ts';
import { verifyHotkey } from '../gate/hotkey.ts';
import { agentIdOf } from '../gate/ids.ts';
import { edgeMac } from '../gate/secrets.ts';
import { ASK_HEADER, asciiJson } from '../miner/client.ts';
import { mayCome } from '../miner/crowd.ts';
import { minerStub } from '../stubs.ts';
import { smallBody } from './body.ts';
import type { Vars } from './vars.ts';

export const agentsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/** Challenges, and connections with one, per isolate and second: a restart of everything brings every agent back at once. */
const admission = { serving: new Admission(100, 200), idle: new Admission(200, 400), connect: new Admission(400, 800) };

agentsApi.post('/agents/challenge', smallBody, async (c) => {
  admit(c.req.header(SERVING_HEADER) === '1' ? 'serving' : 'idle');
  const parsed = challengeRequestSchema.safeParse(await c.req.json().catch(() => null));
  if (!parsed.success) throw new RipcordError('invalid_request', { message: firstIssue(parsed.error) });
  const { hotkey, name } = parsed.data;
  await checkHotkey(c.env, hotkey);
  const agent = await agentIdOf(hotkey, name, c.env);
  if (!mayCome(agent, Number(c.env.MAX_AGENTS ?? Infinity), Date.now())) throw full();
  const random = base64url(crypto.getRandomValues(new Uint8Array(16)));
  const open = `${Date.now()}.${random}`;
  const challenge = `${open}.${await challengeMac(c.env, open, hotkey, agent)}`;
  return c.json({
    agent,
    challenge,
    origin: c.env.PUBLIC_ORIGIN,
    now: Date.now(),
    versions: [...PROTOCOL_VERSIONS],
    newest: NEWEST_AGENT,
  });
});

agentsApi.get('/agents/connect', async (c) => {
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket')
    throw new RipcordError('invalid_request', { message: 'This route is a WebSocket.' });
  admit('connect');
  const login = parseLogin(c.req.header(LOGIN_HEADER));
  await checkLogin(login, c.env);
  event('agent_login', { agent: login.agent, hotkey: login.hotkey });
  const { agent } = login;
  if (!mayCome(agent, Number(c.env.MAX_AGENTS ?? Infinity), Date.now())) throw full();
  const clockMs = login.expires - LIMITS.sessionMs + SESSION_MARGIN_MS - Date.now();
  const answer = await minerStub(c.env, agent).fetch('http://miner/connect', {
    headers: { upgrade: 'websocket', [ASK_HEADER]: asciiJson({ ...login, clockMs }) },
  });
  if (answer.status === 409) throw new RipcordError('nonce_used', { message: 'This challenge was already used.' });
  return answer;
});

function admit(step: keyof typeof admission): void {
  const retryAfterMs = admission[step].take(Date.now(), Math.random());
  if (retryAfterMs > 0) throw new RipcordError('rate_limited', { retryAfterMs });
}

/** Spread out, so that those who wait do not come back at once. */
function full(): RipcordError {
  return new RipcordError('rate_limited', {
    message: 'This edge has as many agents as it can hold.',
    hint: 'Try again later.',
    retryAfterMs: 10_000 + Math.random() * 20_000,
  });
}

async function checkHotkey(env: Env, hotkey: string): Promise<void> {
  if (isRefused(env, hotkey))
    throw new RipcordError('hotkey_refused', { hint: 'Ask the operator of this network, or use another hotkey.' });
  await checkRegistered(env, hotkey, Date.now());
}

function parseLogin(header: string | undefined): Login {
  let value: unknown = null;
  try {
    value = JSON.parse(atob((header ?? '').replaceAll('-', '+').replaceAll('_', '/')));
  } catch {
    throw new RipcordError('invalid_request', { message: `The header ${LOGIN_HEADER} is not base64url JSON.` });
  }
  const parsed = loginSchema.safeParse(value);
  if (!parsed.success) throw new RipcordError('invalid_request', { message: firstIssue(parsed.error) });
  return parsed.data;
}

async function checkLogin(login: Login, env: Env): Promise<void> {
  const now = Date.now();
  await checkHotkey(env, login.hotkey);
  if (login.origin !== env.PUBLIC_ORIGIN)
    throw new RipcordError('invalid_signature', { message: `This login is for ${login.origin}, not for this edge.` });
  if (chooseVersion(login.versions) === null)
    throw new RipcordError('version_unsupported', {
      message: `This edge speaks protocol ${PROTOCOL_VERSIONS.join(' and ')}, the agent ${login.versions.join(' and ')}.`,
      hint: `Update ripcord-miner to ${NEWEST_AGENT} or newer.`,
    });
  const [at, random, mac, ...more] = login.challenge.split('.');
  const expected = await challengeMac(env, `${at}.${random}`, login.hotkey, login.agent);
  if (mac === undefined || more.length > 0 || !sameText(mac, expected))
    throw new RipcordError('invalid_signature', { message: 'The challenge is not of this edge.' });
  if (Math.abs(now - Number(at)) > LIMITS.challengeMs)
    throw new RipcordError('invalid_signature', { message: 'The challenge is too old.' });
  if (login.expires < now || login.expires > now + LIMITS.sessionMs + LIMITS.challengeMs)
    throw new RipcordError('invalid_signature', { message: 'The session expiry is out of range.' });
  if (login.agent !== (await agentIdOf(login.hotkey, login.name, env)))
    throw new RipcordError('invalid_signature', { message: 'The agent id is of another hotkey or name.' });
  if (!verifyHotkey(loginText(login), login.signature, login.hotkey)) throw new RipcordError('invalid_signature');
}

async function challengeMac(env: Env, open: string, hotkey: string, agent: string): Promise<string> {
  return base64url((await edgeMac(env, 'agent/challenge', `${open}\n${hotkey}\n${agent}`)).subarray(0, 24));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}
