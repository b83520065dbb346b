/** Alerts on their way out, signed as Standard Webhooks says: HMAC-SHA-256 over `id.timestamp.body`. */
import { base64 } from '@scure/base';
import type { AlertRow, Webhook } from './rows.ts';

const TIMEOUT_MS = 5_000;
const SECRET = 'whsec_';
/** Names that mean something inside of a network only. */
const INNER = /(^|\.)(localhost|local|internal|lan|home|corp|home\.arpa|intranet)$/;

export function newSecret(): string {
  return SECRET + base64.encode(crypto.getRandomValues(new Uint8Array(32)));
}

/**
 * Whether alerts may be sent there: HTTPS on its usual port, to a public host name. `local`: anything goes, for tests on
 * one machine.
 */
export function isWebhookUrl(text: string, local: boolean): boolean {
  if (text.length > 500 || !URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return false;
  if (local) return url.protocol === 'https:' || url.protocol === 'http:';
  const host = url.hostname.replace(/\.$/, '');
  const isAddress = host.startsWith('[') || /^[\d.]+$/.test(host);
  return url.protocol === 'https:' && url.port === '' && host.includes('.') && !isAddress && !INNER.test(host);
}

export function alertBody(account: string, { kind, at, key, percent, limit, value }: AlertRow): string {
  const data = { account_id: account, limit_nanousd: limit.toString(), value_nanousd: value.toString() };
  const more = kind === 'balance_below' ? {} : { key_id: key, percent };
  return JSON.stringify({ type: `ripcord.${kind}`, timestamp: new Date(at).toISOString(), data: { ...data, ...more } });
}

export async function signatureOf(secret: string, id: string, seconds: number, body: string): Promise<string> {
  const raw = base64.decode(secret.slice(SECRET.length));
  const key = await crypto.subtle.importKey('raw', new Uint8Array(raw), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(`${id}.${seconds}.${body}`));
  return `v1,${base64.encode(new Uint8Array(mac))}`;
}

/** Whether the receiver took it: any 2xx within a few seconds. Redirects are not followed. */
export async function post(account: string, alert: AlertRow, { url, secret }: Webhook, now: number): Promise<boolean> {
  const id = `${account}_${alert.id}`;
  const body = alertBody(account, alert);
  const seconds = Math.floor(now / 1000);
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': await signatureOf(secret, id, seconds, body),
  };
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), TIMEOUT_MS);
  try {
    const reply = await fetch(url, { method: 'POST', body, headers, redirect: 'manual', signal: late.signal });
    await reply.body?.cancel();
    return reply.ok;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
