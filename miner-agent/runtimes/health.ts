/** Whether a program can serve: a GET of its health path answers 200. */
import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathAt, target, type Endpoint } from './endpoint.ts';
import { StartFailed } from './runtime.ts';

/** How the detail of an instance begins that is not healthy yet, and of one that never got so. */
export const WAITING = 'waiting for ';
export const UNHEALTHY = 'not healthy after ';

const TRY_MS = 5_000;
const FIRST_WAIT_MS = 25;
const LONGEST_WAIT_MS = 1_000;

/** Polls until 200. Throws `StartFailed` after `limitMs`, or the signal's reason once it is aborted. */
export async function untilHealthy(
  endpoint: Endpoint,
  path: string,
  limitMs: number,
  signal: AbortSignal,
  progress: (detail: string) => void,
): Promise<void> {
  const end = Date.now() + limitMs;
  let last = '';
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 1.5, LONGEST_WAIT_MS)) {
    signal.throwIfAborted();
    last = await healthOf(endpoint, path, signal);
    signal.throwIfAborted();
    if (last === '200') return;
    if (Date.now() >= end) throw new StartFailed(`${UNHEALTHY}${Math.round(limitMs / 1000)} s: ${path} gave ${last}`);
    progress(`${WAITING}${path} (${last})`);
    await sleep(Math.min(wait, Math.max(0, end - Date.now())), undefined, { signal });
  }
}

/** The status as text, or the code of the error. The body is not read. */
export function healthOf(endpoint: Endpoint, path: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const headers = { host: endpoint.url.host };
    const options = { ...target(endpoint), path: pathAt(endpoint, path), headers, agent: false, timeout: TRY_MS, signal };
    const request = (endpoint.url.protocol === 'https:' ? https : http).get(options, (response) => {
      resolve(String(response.statusCode));
      response.destroy();
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
  });
}
