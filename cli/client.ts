/** The API as functions. The only place of the command that talks HTTP; every failure leaves it as a `Failure`. */
import * as z from 'zod/mini';
import { Failure, EXIT, interrupted, usage } from './failure.ts';
import { signedHeaders } from '../miner-agent/identity/signed-request.ts';
import type { Hotkey } from '../miner-agent/identity/hotkey.ts';
import type { ChuteConfig, CodeRef } from '#protocol';
import * as answers from './answers.ts';
import { refusalOf } from './refusal.ts';
import { readBounded, readLines } from './reply.ts';

export interface ClientOptions {
  /** The API, as `http://127.0.0.1:8787`. */
  api: string;
  /** A secret key. Without one, requests are signed by the hotkey. */
  key?: string;
  hotkey?: Hotkey;
  /** Ends every request. */
  signal?: AbortSignal;
}

export interface Ask {
  headers?: Record<string, string>;
  body?: Uint8Array<ArrayBuffer> | string;
  /** Who asks; the default is the key, or the hotkey where there is no key. */
  as?: 'hotkey';
  /** Milliseconds until the head of the reply; default 30,000. */
  timeoutMs?: number;
  /** Ends this request; Ctrl-C does anyway. */
  signal?: AbortSignal;
}

const TIMEOUT_MS = 30_000;
/** Chutes of one list; a service that always names a next page would otherwise be asked for ever. */
const MAX_LISTED = 10_000;
/** Pages of one report, for the same reason. */
const MAX_PAGES = 10_000;
/** A call may wait in a queue, then run for `LIMITS.callMs`. */
export const CALL_TIMEOUT_MS = 660_000;

export class Client {
  readonly origin: string;
  readonly #base: string;
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    const url = URL.canParse(options.api) ? new URL(options.api) : null;
    if (url === null || !/^https?:$/.test(url.protocol))
      throw usage('invalid_api', `${options.api} is not the address of an API.`, { hint: 'It looks like https://api.example.com.' });
    if (url.username !== '' || url.password !== '')
      throw usage('invalid_api', 'The address of the API holds a user name or password.', {
        hint: 'Give the address alone; the key comes from RIPCORD_API_KEY.',
      });
    this.origin = url.origin;
    this.#base = url.pathname.replace(/\/$/, '');
    this.#options = options;
  }

  signUp(handle: string): Promise<answers.Account> {
    return this.#json(answers.accountSchema, 'POST', '/accounts', { ...json({ handle }), as: 'hotkey' });
  }
  me(ask: Ask = {}): Promise<answers.Account> {
    return this.#json(answers.accountSchema, 'GET', '/accounts/me', ask);
  }

  async keys(): Promise<answers.Key[]> {
    return (await this.#json(answers.listOf(answers.keySchema), 'GET', '/keys')).items;
  }
  createKey(wish: { name: string; scopes?: string[]; expires_at?: string; cap?: answers.CapWish }, ask: Ask = {}): Promise<answers.NewKey> {
    return this.#json(answers.newKeySchema, 'POST', '/keys', { ...ask, ...json(wish) });
  }
  changeKey(id: string, change: { cap: answers.CapWish | null }): Promise<answers.Key> {
    return this.#json(answers.keySchema, 'PATCH', `/keys/${encodeURIComponent(id)}`, json(change));
  }
  revokeKey(id: string): Promise<unknown> {
    return this.#json(z.unknown(), 'DELETE', `/keys/${encodeURIComponent(id)}`);
  }

  /** Whether the service has the blob already. */
  async hasBlob(sha256: string): Promise<boolean> {
    const reply = await this.request('HEAD', `/blobs/${sha256}`);
    await reply.body?.cancel();
    if (reply.ok) return true;
    if (reply.status === 404) return false;
    throw await refusalOf(reply, this.origin);
  }
  putBlob(sha256: string, data: Uint8Array<ArrayBuffer>): Promise<unknown> {
    const headers = { 'content-type': 'application/octet-stream' };
    return this.#json(z.unknown(), 'PUT', `/blobs/${sha256}`, { body: data, headers, timeoutMs: CALL_TIMEOUT_MS });
  }

  deploy(config: ChuteConfig, code: CodeRef | null): Promise<answers.Deployed> {
    return this.#json(answers.deployedSchema, 'POST', '/chutes', json({ config, code }));
  }
  /** All of them, page by page. */
  async chutes(): Promise<answers.Chute[]> {
    const items: answers.Chute[] = [];
    for (let after: string | null = ''; after !== null && items.length < MAX_LISTED;) {
      const target: string = after === '' ? '/chutes' : `/chutes?after=${encodeURIComponent(after)}`;
      const page = await this.#json(answers.listOf(answers.chuteSchema), 'GET', target);
      items.push(...page.items);
      after = page.items.length === 0 ? null : (page.next ?? null);
    }
    return items;
  }
  chute(name: string): Promise<answers.Chute> {
    return this.#json(answers.chuteSchema, 'GET', chutePath(name));
  }
  deleteChute(name: string): Promise<unknown> {
    return this.#json(z.unknown(), 'DELETE', chutePath(name));
  }
  async versions(name: string): Promise<answers.Version[]> {
    return (await this.#json(answers.listOf(answers.versionSchema), 'GET', `${chutePath(name)}/versions`)).items;
  }
  rollback(name: string, version: string): Promise<unknown> {
    return this.#json(z.unknown(), 'POST', `${chutePath(name)}/rollback`, json({ version }));
  }

  /** The last to start first. */
  async prices(name: string): Promise<answers.PriceVersion[]> {
    return (await this.#json(answers.listOf(answers.priceSchema), 'GET', `${chutePath(name)}/prices`)).items;
  }
  setPrice(name: string, ask: object): Promise<answers.PriceVersion> {
    return this.#json(answers.priceSchema, 'PUT', `${chutePath(name)}/price`, json(ask));
  }
  /** What the call of this path with this body would cost. */
  quote(path: string, body: Uint8Array<ArrayBuffer> | string): Promise<answers.Quote> {
    const headers = { 'content-type': 'application/json' };
    return this.#json(answers.quoteSchema, 'POST', `/quote?path=${encodeURIComponent(path)}`, { body, headers });
  }

  /** All of them, or those of one chute. */
  async secrets(purpose: string | null): Promise<answers.Secret[]> {
    const items: answers.Secret[] = [];
    for (let after: string | null = ''; after !== null && items.length < MAX_LISTED;) {
      const ask = new URLSearchParams({ ...(purpose === null ? {} : { purpose }), ...(after === '' ? {} : { after }) });
      const page = await this.#json(answers.listOf(answers.secretSchema), 'GET', `/secrets?${ask.toString()}`);
      items.push(...page.items);
      after = page.items.length === 0 ? null : (page.next ?? null);
    }
    return items;
  }
  setSecret(secret: { purpose: string; kind?: string; key: string; value: unknown }): Promise<answers.Secret> {
    return this.#json(answers.secretSchema, 'POST', '/secrets', json(secret));
  }
  deleteSecret(id: string): Promise<unknown> {
    return this.#json(z.unknown(), 'DELETE', `/secrets/${encodeURIComponent(id)}`);
  }

  async shares(name: string): Promise<answers.Share[]> {
    return (await this.#json(answers.listOf(answers.shareSchema), 'GET', `${chutePath(name)}/shares`)).items;
  }
  share(ask: { chute_id_or_name: string; user_id_or_name: string }, shared: boolean): Promise<answers.Share> {
    return this.#json(answers.shareSchema, 'POST', shared ? '/chutes/share' : '/chutes/unshare', json(ask));
  }

  balance(): Promise<answers.Balance> {
    return this.#json(answers.balanceSchema, 'GET', '/accounts/me/balance');
  }
  usage(query: URLSearchParams): Promise<answers.Usage> {
    return this.#json(answers.usageSchema, 'GET', `/accounts/me/usage?${query.toString()}`);
  }
  /** The report as CSV, page by page; each page but the first without its header row. */
  async *usageCsv(query: URLSearchParams): AsyncGenerator<string> {
    const ask = new URLSearchParams({ ...Object.fromEntries(query), format: 'csv' });
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const reply = await this.request('GET', `/accounts/me/usage?${ask.toString()}`);
      if (!reply.ok) throw await refusalOf(reply, this.origin);
      const text = await readBounded(reply, (error) => this.broken(error));
      yield page === 0 ? text : text.slice(text.indexOf('\r\n') + 2);
      const next = /<([^>]+)>; rel="next"/.exec(reply.headers.get('link') ?? '')?.[1];
      if (next === undefined || !URL.canParse(next)) return;
      // Of the address only what it asks for is taken: the key goes nowhere else.
      for (const [name, value] of new URL(next).searchParams) ask.set(name, value);
    }
  }
  metrics(name: string, query: URLSearchParams): Promise<answers.Metrics> {
    return this.#json(answers.metricsSchema, 'GET', `${chutePath(name)}/metrics?${query.toString()}`);
  }
  async calls(limit: number): Promise<answers.Call[]> {
    return (await this.#json(answers.listOf(answers.callSchema), 'GET', `/calls?limit=${limit}`)).items;
  }
  call(id: string): Promise<answers.Call> {
    return this.#json(answers.callSchema, 'GET', `/calls/${encodeURIComponent(id)}`);
  }
  callWhy(id: string): Promise<answers.CallWhy> {
    return this.#json(answers.callWhySchema, 'GET', `/calls/${encodeURIComponent(id)}/why`);
  }
  /** Asks for an instance; for as long as the chute says, or for so many seconds. */
  warm(name: string, seconds: number | null): Promise<answers.Warm> {
    return this.#json(answers.warmSchema, 'POST', `${chutePath(name)}/warmup`, json(seconds === null ? {} : { seconds }));
  }
  /** Each change on the way to an instance, until the service ends the stream. */
  async *warming(name: string): AsyncGenerator<answers.Warm> {
    const reply = await this.request('GET', `${chutePath(name)}/warmup?stream=1`, { headers: { accept: 'text/event-stream' } });
    if (!reply.ok) throw await refusalOf(reply, this.origin);
    for await (const line of readLines(reply, (error) => this.broken(error))) {
      const parsed = line.startsWith('data: ') ? answers.warmSchema.safeParse(parseJson(line.slice(6))) : null;
      if (parsed?.success === true) yield parsed.data;
    }
  }
  checkout(usd: string): Promise<answers.Checkout> {
    return this.#json(answers.checkoutSchema, 'POST', '/billing/checkout', json({ amount_usd: usd }));
  }

  /** Lines as they are kept; with `follow`, then as they come, until the service ends the reply. */
  async *logs(name: string, follow: boolean): AsyncGenerator<answers.LogLine> {
    const reply = await this.request('GET', `${chutePath(name)}/logs${follow ? '?follow=1' : ''}`, {
      headers: { accept: 'application/x-ndjson' },
    });
    if (!reply.ok) throw await refusalOf(reply, this.origin);
    for await (const line of readLines(reply, (error) => this.broken(error))) {
      const parsed = answers.logLineSchema.safeParse(parseJson(line));
      if (parsed.success) yield parsed.data;
    }
  }

  /** One request with the caller's authority; any status is returned. */
  async request(method: string, target: string, ask: Ask = {}): Promise<Response> {
    const path = this.#base + target;
    const headers = new Headers({ ...this.#authority(method, path, ask), ...ask.headers });
    const late = new AbortController();
    const timeoutMs = ask.timeoutMs ?? TIMEOUT_MS;
    const timer = setTimeout(() => late.abort(), timeoutMs);
    const signals = [late.signal, this.#options.signal, ask.signal].filter((signal) => signal !== undefined);
    try {
      // Redirects are not followed: a key goes to the origin it was made for, nowhere else.
      return await fetch(this.origin + path, {
        method,
        headers,
        body: ask.body ?? null,
        redirect: 'manual',
        signal: AbortSignal.any(signals),
      });
    } catch (error) {
      if (late.signal.aborted)
        throw new Failure(EXIT.unreachable, 'unreachable', `${this.origin} did not answer within ${timeoutMs / 1000} s.`);
      throw this.broken(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The bytes of a reply as they come; a broken connection or Ctrl-C ends it with a `Failure`. */
  async *bytes(reply: Response): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of reply.body ?? []) yield chunk;
    } catch (error) {
      throw this.broken(error);
    }
  }

  async #json<T extends z.ZodMiniType>(schema: T, method: string, target: string, ask: Ask = {}): Promise<z.output<T>> {
    const reply = await this.request(method, target, ask);
    if (!reply.ok) throw await refusalOf(reply, this.origin);
    const parsed = schema.safeParse(parseJson(await readBounded(reply, (error) => this.broken(error))));
    if (parsed.success) return parsed.data;
    const where = parsed.error.issues[0]?.path.join('.') || 'the reply';
    throw new Failure(EXIT.refused, 'unexpected_reply', `${this.origin} answered ${method} ${target} with something else (${where}).`, {
      hint: 'Is this the address of a Ripcord API, and of the same version as this command?',
    });
  }

  #authority(method: string, target: string, ask: Ask): Record<string, string> {
    const { key, hotkey } = this.#options;
    if (ask.as !== 'hotkey' && key !== undefined) return { authorization: `Bearer ${key}` };
    if (hotkey === undefined) return {};
    return signedHeaders(hotkey, { origin: this.origin, method, target, body: ask.body ?? '' });
  }

  /** Why a connection broke, as a `Failure`. */
  broken(error: unknown): Failure {
    if (error instanceof Failure) return error;
    if (this.#options.signal?.aborted === true) return interrupted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const why = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : 'unknown';
    return new Failure(EXIT.unreachable, 'unreachable', `${this.origin} cannot be reached or broke the connection (${why}).`, {
      hint: 'Does it run, and is the address right? Set it by --api or RIPCORD_API.',
    });
  }
}

/** `/chutes/{id}` or `/chutes/{owner}/{name}`. */
function chutePath(name: string): string {
  return `/chutes/${name.split('/').map(encodeURIComponent).join('/')}`;
}

function json(body: unknown): Ask {
  return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return undefined;
  }
}
