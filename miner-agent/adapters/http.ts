/** Small HTTP, both ways, for adapters: bounded bodies, JSON in and out. */
import http from 'node:http';
import https from 'node:https';
import { pathAt, target, type Endpoint } from '../runtimes/endpoint.ts';

/** Bytes of a body; what RunPod takes of a synchronous job (20 MB) fits. */
export const BODY_BYTES = 32 * 1024 * 1024;
/** Bytes of a status that is looked at; cog puts the log of its setup into it. */
const STATUS_BYTES = 4 * 1024 * 1024;
const STATUS_MS = 5_000;

/** A body of at most `limit` bytes; null when it is larger, breaks off, or there is no `room` for so many more bytes. */
export async function bodyOf(
  request: http.IncomingMessage,
  limit = BODY_BYTES,
  room: (bytes: number) => boolean = () => true,
): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      if (!Buffer.isBuffer(chunk)) return null;
      bytes += chunk.byteLength;
      if (bytes > limit || !room(chunk.byteLength)) return null;
      chunks.push(chunk);
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Undefined for what is not JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function sendJson(response: http.ServerResponse, status: number, value: unknown): void {
  const text = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.byteLength });
  response.end(text);
}

/** The JSON that a GET answers with, whatever its status; an `Error` tells in few words why there is none. */
export function getJson(endpoint: Endpoint, path: string, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = { host: endpoint.url.host };
    const options = { ...target(endpoint), path: pathAt(endpoint, path), headers, agent: false, timeout: STATUS_MS, signal };
    const request = (endpoint.url.protocol === 'https:' ? https : http).get(options, (response) => {
      bodyOf(response, STATUS_BYTES).then((text) => {
        request.destroy();
        const value = text === null ? undefined : parsed(text);
        if (value === undefined) reject(new Error(`${path} gave ${response.statusCode} and no JSON`));
        else resolve(value);
      }, reject);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', (error) => reject(new Error(`${path} gave ${'code' in error ? String(error.code) : error.message}`)));
  });
}
