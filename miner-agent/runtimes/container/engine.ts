/**
 * The engine's HTTP API, only what is used of it, through `docker-modem`. Every call has a limit in time, every reply one in
 * bytes, and what comes back is parsed. The engine is trusted not to lie; it may hang, restart or be a version we never saw.
 */
import { Agent, IncomingMessage } from 'node:http';
import { inspect } from 'node:util';
import DockerModem from 'docker-modem';
import * as z from 'zod/mini';
import * as reply from './replies.ts';
import type { ContainerState, PullLine } from './replies.ts';
import type { CreateBody } from './settings.ts';

/** The engine refused, or did not answer (`status` null). The message is fit for the chute's owner. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly status: number | null;
  constructor(status: number | null, message: string) {
    super(message);
    this.status = status;
  }
}

/** The newest API this is written for (Docker Engine 28); an older engine is spoken to in its own. */
const API = 50;
/** The oldest: Docker Engine 20.10, Podman 4. */
const OLDEST_API = 40;

/** Milliseconds. */
export const ENGINE_TIMES = {
  /** For an ordinary call; for one that makes the engine work on disk; for a removal; for a line of a pull to come. */
  callMs: 10_000,
  workMs: 60_000,
  removeMs: 20_000,
  pullIdleMs: 120_000,
};

const REPLY_BYTES = 4 * 1024 * 1024;
const LINE_BYTES = 64 * 1024;

/** docker-modem reads the body of an unexpected status without bound; so none is unexpected to it. */
const ANY_STATUS = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [i + 100, true]));

interface Call {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  query?: Record<string, string>;
  body?: object;
  file?: Buffer;
  auth?: string;
  limitMs?: number;
  signal?: AbortSignal;
}

export class Engine {
  readonly #modem: DockerModem;
  readonly #times: typeof ENGINE_TIMES;
  #api: Promise<string> | null = null;

  constructor(socket: string, times: typeof ENGINE_TIMES = ENGINE_TIMES) {
    this.#times = times;
    // `host` explicitly: DOCKER_HOST of the environment would win over the socket. A kept connection dies with the engine.
    this.#modem = new DockerModem({ socketPath: socket, host: undefined, agent: new Agent({ keepAlive: false }) });
  }

  version() {
    return this.#json({ method: 'GET', path: '/version' }, reply.versionReply, '');
  }

  info() {
    return this.#json({ method: 'GET', path: '/info' }, reply.infoReply);
  }

  /** Facts of an image that is here, or null. */
  async image(name: string) {
    return orNull(this.#json({ method: 'GET', path: `/images/${encodeURI(name)}/json` }, reply.imageReply));
  }

  /** Asks the registry itself for an image, with these credentials. Throws what it says. Podman has no such call. */
  async askRegistry(image: string, auth: string | null): Promise<void> {
    const call: Call = { method: 'GET', path: `/distribution/${encodeURI(image)}/json`, limitMs: this.#times.workMs };
    await this.#text(auth === null ? call : { ...call, auth });
  }

  /** Pulls; `auth` is the value of X-Registry-Auth. Throws what the engine says went wrong. */
  async pull(image: string, auth: string | null, signal: AbortSignal, line: (line: PullLine) => void): Promise<void> {
    const idle = new AbortController();
    const timer = setTimeout(() => idle.abort(), this.#times.pullIdleMs);
    const stop = AbortSignal.any([signal, idle.signal]);
    const call: Call = { method: 'POST', path: '/images/create', query: { fromImage: image }, signal: stop, limitMs: 3_600_000 };
    try {
      const response = await this.#stream(auth === null ? call : { ...call, auth });
      for await (const text of linesOf(response)) {
        timer.refresh();
        const parsed = reply.pullLine.safeParse(jsonOf(text));
        if (!parsed.success) continue;
        if (parsed.data.error !== undefined) throw new EngineError(500, parsed.data.error.slice(0, 300));
        line(parsed.data);
      }
    } catch (error) {
      if (idle.signal.aborted) throw new EngineError(null, `the registry sent nothing for ${this.#times.pullIdleMs / 1000} s`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async importImage(tar: Buffer, repo: string, tag: string): Promise<void> {
    const query = { fromSrc: '-', repo, tag };
    await this.#text({ method: 'POST', path: '/images/create', query, file: tar, limitMs: this.#times.workMs });
  }

  async removeImage(name: string): Promise<void> {
    await this.#text({ method: 'DELETE', path: `/images/${encodeURI(name)}`, limitMs: this.#times.workMs });
  }

  async create(name: string, body: CreateBody): Promise<string> {
    const call: Call = { method: 'POST', path: '/containers/create', query: { name }, body, limitMs: this.#times.workMs };
    return (await this.#json(call, reply.createdReply)).Id;
  }

  async start(id: string): Promise<void> {
    await this.#text({ method: 'POST', path: `/containers/${id}/start`, limitMs: this.#times.workMs });
  }

  /** Returns once it ended, at the latest when the grace is over and it was killed. */
  async stop(id: string, graceMs: number): Promise<void> {
    const seconds = Math.ceil(graceMs / 1000);
    await this.#text({
      method: 'POST',
      path: `/containers/${id}/stop`,
      query: { t: String(seconds) },
      limitMs: graceMs + this.#times.workMs,
    });
  }

  /** Removes it with its volumes, running or not; one that is not there is fine. */
  async remove(id: string): Promise<void> {
    const call: Call = { method: 'DELETE', path: `/containers/${id}`, query: { force: 'true', v: 'true' }, limitMs: this.#times.removeMs };
    await orNull(this.#text(call));
  }

  state(id: string): Promise<ContainerState> {
    return this.#json({ method: 'GET', path: `/containers/${id}/json` }, reply.stateReply);
  }

  /** Resolves once it ended, or after `limitMs`. */
  async wait(id: string, limitMs: number, stop: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([AbortSignal.timeout(limitMs), stop]);
    const call: Call = {
      method: 'POST',
      path: `/containers/${id}/wait`,
      query: { condition: 'not-running' },
      signal: limit,
      limitMs: limitMs + this.#times.callMs,
    };
    await this.#json(call, reply.waitReply).catch((error: unknown) => {
      if (!limit.aborted) throw error;
    });
  }

  /** Its output from the first byte on, as the engine frames it, until it ends. `since` in seconds of Unix time. */
  logs(id: string, since: number, signal: AbortSignal): Promise<IncomingMessage> {
    const query = { follow: 'true', stdout: 'true', stderr: 'true', since: String(since) };
    return this.#stream({ method: 'GET', path: `/containers/${id}/logs`, query, signal, limitMs: this.#times.callMs }, true);
  }

  /** Ids and labels of all containers with this label, running or not. */
  async withLabel(label: string): Promise<{ id: string; labels: Record<string, string> }[]> {
    const query = { all: 'true', filters: JSON.stringify({ label: [label] }) };
    const found = await this.#json({ method: 'GET', path: '/containers/json', query }, reply.listReply);
    return found.map((c) => ({ id: c.Id, labels: c.Labels ?? {} }));
  }

  async #json<T>(call: Call, schema: z.ZodMiniType<T>, prefix?: string): Promise<T> {
    const parsed = schema.safeParse(jsonOf(await this.#text(call, prefix)));
    if (!parsed.success) throw new EngineError(null, `the container engine's answer to ${call.method} ${shown(call.path)} cannot be read`);
    return parsed.data;
  }

  async #text(call: Call, prefix?: string): Promise<string> {
    return bodyOf(await this.#stream(call, false, prefix));
  }

  /** The reply, once its status is a good one. `headOnly`: the limit is for the head, the body may take its time. */
  async #stream(call: Call, headOnly = false, prefix?: string): Promise<IncomingMessage> {
    const path = (prefix ?? (await this.#prefix())) + call.path;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), call.limitMs ?? this.#times.callMs);
    timer.unref();
    const signal = call.signal === undefined ? limit.signal : AbortSignal.any([call.signal, limit.signal]);
    let response: IncomingMessage;
    try {
      response = await this.#dial(call, path, signal);
    } catch (error) {
      clearTimeout(timer);
      if (call.signal?.aborted === true) throw error;
      throw new EngineError(
        null,
        limit.signal.aborted ? 'the container engine does not answer' : `the container engine cannot be reached (${codeOf(error)})`,
      );
    }
    if (headOnly) clearTimeout(timer);
    else response.once('close', () => clearTimeout(timer));
    const status = response.statusCode ?? 0;
    if (status < 400) return response;
    const message = reply.errorReply.safeParse(jsonOf(await bodyOf(response).catch(() => '')));
    clearTimeout(timer);
    throw new EngineError(status, (message.success ? message.data.message : `status ${status}`).slice(0, 300));
  }

  #dial(call: Call, path: string, abortSignal: AbortSignal): Promise<IncomingMessage> {
    const headers: Record<string | symbol, string | (() => string)> = {};
    if (call.auth !== undefined) headers['X-Registry-Auth'] = call.auth;
    // docker-modem shows its requests where DEBUG is set; credentials are not to be among them.
    headers[inspect.custom] = () => '(headers)';
    const options: DockerModem.DialOptions = {
      path: call.query === undefined ? path : `${path}?`,
      method: call.method,
      headers: headers as Record<string, string>,
      // An empty `_body` is sent as no body; without one the query would be sent as it.
      options: { _query: call.query ?? {}, _body: call.body ?? {} },
      isStream: true,
      statusCodes: ANY_STATUS,
      abortSignal,
      ...(call.file === undefined ? {} : { file: call.file }),
    };
    return new Promise((resolve, reject) => {
      this.#modem.dial(options, (error, result) => {
        if (error !== null) reject(error);
        else if (result instanceof IncomingMessage) resolve(result);
        else reject(new EngineError(null, 'the container engine answered nothing'));
      });
    });
  }

  /** `/v1.41`: the newest that both sides speak. */
  #prefix(): Promise<string> {
    this.#api ??= this.version().then(
      ({ apiVersion }) => {
        const minor = Number(apiVersion.split('.')[1]);
        if (minor < OLDEST_API)
          throw new EngineError(null, `the container engine is too old: API ${apiVersion}, at least 1.${OLDEST_API} is needed`);
        return `/v1.${Math.min(API, minor)}`;
      },
      (error: unknown) => {
        this.#api = null;
        throw error;
      },
    );
    return this.#api;
  }
}

/** The result, or null for what is not there. */
async function orNull<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof EngineError && error.status === 404) return null;
    throw error;
  }
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      if (!Buffer.isBuffer(chunk)) continue;
      bytes += chunk.byteLength;
      if (bytes > REPLY_BYTES) throw new EngineError(null, `the container engine's answer is longer than ${REPLY_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError(null, `the container engine's answer broke off (${codeOf(error)})`);
  } finally {
    response.destroy();
  }
  return Buffer.concat(chunks).toString();
}

/** Lines of a stream; one that is too long ends it. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  try {
    for await (const chunk of response) {
      rest += String(chunk);
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      yield* lines.filter((line) => line.trim() !== '');
      if (rest.length > LINE_BYTES) throw new EngineError(null, `a line of the container engine is longer than ${LINE_BYTES} bytes`);
    }
    if (rest.trim() !== '') yield rest;
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError(null, `the container engine broke off (${codeOf(error)})`);
  } finally {
    response.destroy();
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  return error instanceof Error ? error.message : 'unknown';
}

function shown(path: string): string {
  return path.slice(0, 60);
}
