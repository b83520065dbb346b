/**
 * Which requests go through an HTTP proxy, by the words everybody knows: `--proxy` or `proxy` in the config for all of them,
 * else HTTPS_PROXY and HTTP_PROXY by the scheme; NO_PROXY names hosts that are reached directly. This machine itself always is.
 */
import { BlockList, isIP } from 'node:net';

/** The address of a proxy. Its user name and password go to the proxy and nowhere else: printed, it has none. */
export class HttpProxy {
  readonly #url: URL;
  constructor(url: URL) {
    this.#url = url;
  }
  /** With the credentials, for the one that dials. */
  secret(): URL {
    return this.#url;
  }
  toString(): string {
    return this.#url.origin;
  }
  toJSON(): string {
    return this.toString();
  }
}

export interface ProxySettings {
  /** For `http:` and for `https:`; null: directly. */
  http: HttpProxy | null;
  https: HttpProxy | null;
  /** Hosts reached directly, as NO_PROXY lists them. */
  direct: readonly string[];
}

export const NO_PROXIES: ProxySettings = { http: null, https: null, direct: [] };

/** A word that is no proxy's address; the message does not repeat it, for it may hold a password. */
export class ProxyProblem extends Error {
  override readonly name = 'ProxyProblem';
}

/** `given`: of the flag or the config. Throws `ProxyProblem`. */
export function proxySettings(given: string | null, env: Readonly<Record<string, string | undefined>>): ProxySettings {
  const of = (name: string) => env[name.toLowerCase()] ?? env[name] ?? '';
  const direct = of('NO_PROXY')
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  if (given !== null) {
    const proxy = readProxy('--proxy', given);
    return { http: proxy, https: proxy, direct };
  }
  return { http: readProxy('HTTP_PROXY', of('HTTP_PROXY')), https: readProxy('HTTPS_PROXY', of('HTTPS_PROXY')), direct };
}

/** The proxy for this address, or null. WebSockets go the way of their schemes. */
export function proxyFor(url: URL, settings: ProxySettings): HttpProxy | null {
  const secure = url.protocol === 'https:' || url.protocol === 'wss:';
  const proxy = secure ? settings.https : settings.http;
  if (proxy === null) return null;
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (secure ? '443' : '80') : url.port;
  if (isLoopback(host) || settings.direct.some((entry) => covers(entry, host, port))) return null;
  return proxy;
}

function readProxy(what: string, text: string): HttpProxy | null {
  if (text.trim() === '') return null;
  const full = text.includes('://') ? text.trim() : `http://${text.trim()}`;
  const url = URL.canParse(full) ? new URL(full) : null;
  if (url === null || url.hostname === '' || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new ProxyProblem(`${what} must be the address of an HTTP proxy, for example http://proxy.example:3128`);
  return new HttpProxy(url);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** `*`, `example.com` and `.example.com` (it and all under it), `10.0.0.0/8`, each but the first also with `:port`. */
function covers(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return inSubnet(entry, host);
  const colon = isIP(entry) === 6 || entry.endsWith(']') ? -1 : entry.lastIndexOf(':');
  if (colon > 0 && entry.slice(colon + 1) !== port) return false;
  const name = (colon > 0 ? entry.slice(0, colon) : entry).replace(/^\*?\./, '').replace(/^\[|\]$/g, '');
  return name !== '' && (host === name || (isIP(host) === 0 && host.endsWith(`.${name}`)));
}

function inSubnet(entry: string, host: string): boolean {
  const [base = '', bits = ''] = entry.split('/');
  const family = isIP(base);
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(base, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  return list.check(host, family === 4 ? 'ipv4' : 'ipv6');
}
