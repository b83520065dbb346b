/** Whether a program can serve: a GET of its health path answers 200. */
import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartFailed } from './runtime.ts';

const TRY_MS = 5_000;
const FIRST_WAIT_MS = 25;
const LONGEST_WAIT_MS = 1_000;

/** Polls until 200. Throws `StartFailed` after `limitMs`, or the signal's reason once it is aborted. */
export async function untilHealthy(url: URL, limitMs: number, signal: AbortSignal, progress: (detail: string) => void): Promise<void> {
  const end = Date.now() + limitMs;
  let last = '';
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 1.5, LONGEST_WAIT_MS)) {
    signal.throwIfAborted();
    last = await healthOf(url, signal);
    signal.throwIfAborted();
    if (last === '200') return;
    if (Date.now() >= end) throw new StartFailed(`not healthy after ${Math.round(limitMs / 1000)} s: ${url.pathname} gave ${last}`);
    progress(`waiting for ${url.pathname} (${last})`);
    await sleep(Math.min(wait, Math.max(0, end - Date.now())), undefined, { signal });
  }
}

/** The status as text, or the code of the error. The body is not read. */
function healthOf(url: URL, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const request = (url.protocol === 'https:' ? https : http).get(url, { agent: false, timeout: TRY_MS, signal }, (response) => {
      resolve(String(response.statusCode));
      response.destroy();
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
  });
}
