/** An adapter over a real process: started, asked over its own endpoint, stopped. */
import { mkdtempSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_SECRETS, chuteConfigSchema } from '../../../functions/protocol/index.ts';
import { adapted } from '../../../miner-agent/adapters/adapted.ts';
import { PidNotes } from '../../../miner-agent/runtimes/leftovers.ts';
import { target } from '../../../miner-agent/runtimes/endpoint.ts';
import { processRuntime } from '../../../miner-agent/runtimes/process.ts';
import type { Runtime } from '../../../miner-agent/runtimes/runtime.ts';

export interface Adapted {
  runtime: Runtime;
  lines: string[];
  progress: string[];
  ended: string[];
}

/** A runtime that was not started yet. What it told is in the lists. */
export function adaptedProcess(adapter: 'cog' | 'runpod', command: string[], config: Record<string, unknown> = {}): Adapted {
  const folder = mkdtempSync(join(tmpdir(), 'adapter-'));
  const told = { lines: [] as string[], progress: [] as string[], ended: [] as string[] };
  const aborter = new AbortController();
  const runtime = adapted((context) => processRuntime(context, { memoryMb: 0, fileMb: 64, openFiles: 1024 }, new PidNotes(folder)))({
    instance: 'ins_1',
    spec: {
      chute: 'c',
      name: 'a/b',
      account: 'a',
      version: 'f'.repeat(64),
      config: chuteConfigSchema.parse({ name: 'b', command, adapter, start_timeout: 20, ...config }),
      code: null,
    },
    folder,
    devices: [],
    secrets: NO_SECRETS,
    forwards: [],
    code: () => Promise.reject(new Error('no code')),
    weights: () => null,
    progress: (detail) => told.progress.push(detail),
    log: (_source, text) => told.lines.push(text),
    // As instances do it.
    ended: (detail) => {
      told.ended.push(detail);
      aborter.abort(new Error(detail));
    },
    signal: aborter.signal,
  });
  return { runtime, ...told };
}

export async function started(made: Adapted): Promise<Adapted> {
  await made.runtime.prepare();
  await made.runtime.start();
  await made.runtime.ready();
  return made;
}

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  json: unknown;
}

export interface AskOptions {
  body?: unknown;
  headers?: Record<string, string>;
  /** Hangs up. */
  signal?: AbortSignal;
  /** Each part of the reply as it comes. */
  onData?: (text: string) => void;
}

export function ask({ runtime }: Adapted, method: string, path: string, options: AskOptions = {}): Promise<Reply> {
  const endpoint = runtime.endpoint();
  if (endpoint === null) throw new Error('it has no endpoint');
  const text = options.body === undefined ? '' : typeof options.body === 'string' ? options.body : JSON.stringify(options.body);
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...options.headers };
    const { signal } = options;
    const request = http.request({ ...target(endpoint), method, path, agent: false, headers, ...(signal === undefined ? {} : { signal }) });
    request.on('error', reject);
    request.on('response', (response) => {
      let got = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        got += part;
        options.onData?.(part);
      });
      response.on('error', reject);
      response.on('end', () => {
        let json: unknown;
        try {
          json = JSON.parse(got);
        } catch {
          json = undefined;
        }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: got, json });
      });
    });
    request.end(text);
  });
}
