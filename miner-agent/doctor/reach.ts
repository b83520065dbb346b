/** The way to the edge, step by step, each with a limit in time: name, address, proxy, TLS, WebSocket. None of it leaves a trace there. */
import { lookup } from 'node:dns/promises';
import https from 'node:https';
import http from 'node:http';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { failureOf, type Outbound } from '../net/outbound.ts';
import { ProxyError } from '../net/tunnel.ts';
import type { Facts, Found } from './facts.ts';

const STEP_MS = 8_000;

export async function resolveName(url: URL): Promise<Found<string[]>> {
  try {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    return { is: (await within(lookup(host, { all: true }))).map((a) => a.address) };
  } catch (error) {
    return { problem: failureOf(error) };
  }
}

export function tryRoute(url: URL): Promise<Found<string>> {
  return opened(
    connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port: portOf(url) }),
    'connect',
    (s) => `${s.remoteAddress} port ${s.remotePort}`,
  );
}

/** Null for plain http, and where a proxy lies between: the requests through it check TLS themselves. */
export function tryTls(url: URL): Promise<Found<string> | null> {
  if (url.protocol !== 'https:') return Promise.resolve(null);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const socket = connectTls({ host, port: portOf(url), ...(isIP(host) === 0 ? { servername: host } : {}) });
  return opened(socket, 'secureConnect', () => `${socket.getProtocol()}, good until ${socket.getPeerCertificate().valid_to}`);
}

/** A tunnel to the edge, held silent for so long. */
export async function tryProxy(url: URL, outbound: Outbound, holdMs: number): Promise<Facts['proxy']> {
  const proxy = outbound.proxyFor(url);
  const agent = outbound.tunnelFor(url);
  if (proxy === null || agent === undefined) return null;
  const address = proxy.toString();
  try {
    const socket = await within(tunnelSocket(url, agent));
    const lived = await livesFor(socket, holdMs);
    socket.destroy();
    if (lived) return { address, heldMs: holdMs };
    return { address, problem: `the proxy ${address} cut a silent tunnel within ${holdMs / 1000} s`, cut: true };
  } catch (error) {
    return {
      address,
      problem: error instanceof ProxyError ? error.message : `no tunnel through ${address} (${failureOf(error)})`,
      cut: false,
    };
  }
}

/** An upgrade without a login: the edge itself refuses it, by a word that only an edge says. */
export function tryUpgrade(url: URL, outbound: Outbound): Promise<Found<string>> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  const agent = outbound.tunnelFor(url) ?? false;
  const asked = new Promise<Found<string>>((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).get(new URL('/agents/connect', url), { headers, agent });
    request.on('error', reject);
    request.setTimeout(STEP_MS, () => request.destroy(new Error('no answer')));
    request.on('upgrade', (_, socket) => {
      socket.destroy();
      resolve({ problem: 'it was let in without a login: this is no Ripcord edge' });
    });
    request.on('response', (response) => {
      let text = '';
      response.on('data', (part: Buffer) => (text = (text + part.toString()).slice(0, 4096)));
      response.on('error', reject);
      response.on('end', () => {
        request.destroy();
        const problem = `something on the way answered ${response.statusCode} in the place of the edge`;
        // What the edge says to an upgrade whose login is missing; to a request that is no upgrade any more it says something else.
        resolve(/x-ripcord-login/i.test(text) || response.statusCode === 429 ? { is: 'an upgrade reaches the edge' } : { problem });
      });
    });
  });
  return within(asked).catch((error: unknown) => ({ problem: failureOf(error) }));
}

/** The socket that a request through the tunnel would have used; the request itself is never sent. */
function tunnelSocket(url: URL, agent: http.Agent): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, { agent });
    request.on('error', reject);
    request.on('socket', resolve);
    // Headers wait for the first write: nothing goes out.
  });
}

function livesFor(socket: Socket, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), ms);
    const gone = () => {
      clearTimeout(timer);
      resolve(false);
    };
    socket.on('error', gone);
    socket.on('end', gone);
    socket.on('close', gone);
    socket.resume();
  });
}

function opened<S extends Socket>(socket: S, event: string, tell: (socket: S) => string): Promise<Found<string>> {
  return new Promise((resolve) => {
    const end = (found: Found<string>) => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(STEP_MS, () => end({ problem: `no answer within ${STEP_MS / 1000} s` }));
    socket.once(event, () => end({ is: tell(socket) }));
    socket.once('error', (error) => end({ problem: failureOf(error) }));
  });
}

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${STEP_MS / 1000} s`)), STEP_MS);
  });
  work.catch(() => {});
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
}
