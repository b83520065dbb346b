/** The way out through an HTTP proxy: which requests take it, what a proxy may do to them, and that its password stays unsaid. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { checkConfig, readConfig } from '../../../miner-agent/config.ts';
import type { AgentEvent } from '../../../miner-agent/display.ts';
import { runAgent } from '../../../miner-agent/agent.ts';
import { createHotkeyFile } from '../../../miner-agent/identity/hotkey.ts';
import { Outbound, failureOf, type Ask } from '../../../miner-agent/net/outbound.ts';
import { HttpProxy, NO_PROXIES, proxyFor, proxySettings } from '../../../miner-agent/net/proxy.ts';
import { Tunnel } from '../../../miner-agent/net/tunnel.ts';
import { startProxy, type ProxyWish, type TestProxy } from '../../harness/proxy.ts';
import { SocketEdge, until } from './socket-edge.ts';

const ASK: Ask = { timeoutMs: 5_000, maxBytes: 1_000 };

describe('which proxy', () => {
  const env = {
    HTTPS_PROXY: 'http://secure:1',
    http_proxy: 'plain:2',
    NO_PROXY: 'in.example, .under.example,10.0.0.0/8 fd00::/8,host:8443,[2001:db8::1],[2001:db8::2]:8443',
  };
  test.each([
    ['https://edge.example', 'http://secure:1'],
    ['wss://edge.example', 'http://secure:1'],
    ['http://edge.example', 'http://plain:2'],
    ['https://in.example', null],
    ['https://sub.in.example', null],
    ['https://notin.example', 'http://secure:1'],
    ['https://a.under.example', null],
    ['https://10.1.2.3', null],
    ['https://11.1.2.3', 'http://secure:1'],
    ['https://[fd00::1]', null],
    ['https://[2001:db8::1]', null],
    ['https://[2001:db8::2]:8443', null],
    ['https://host:8443', null],
    ['https://host', 'http://secure:1'],
    ['http://127.0.0.1:8787', null],
    ['http://127.9.9.9', null],
    ['http://localhost:8787', null],
    ['https://demo.localhost', null],
    ['http://[::1]:8787', null],
  ])('%s → %s', (url, proxy) => {
    expect(proxyFor(new URL(url), proxySettings(null, env))?.toString() ?? null).toBe(proxy);
  });

  test('the flag is for all; NO_PROXY holds for it too; `*` turns every proxy off', () => {
    const of = (url: string, settings = proxySettings('proxy:3', env)) => proxyFor(new URL(url), settings)?.toString() ?? null;
    expect([of('http://edge.example'), of('https://edge.example'), of('https://in.example')]).toEqual([
      'http://proxy:3',
      'http://proxy:3',
      null,
    ]);
    expect(of('https://edge.example', proxySettings('proxy:3', { NO_PROXY: '*' }))).toBeNull();
    expect(of('https://edge.example', proxySettings(null, {}))).toBeNull();
  });

  test.each(['socks5://user:pw@host', 'http://', 'ht tp://x'])('%s is refused without being repeated', (text) => {
    expect(() => proxySettings(text, {})).toThrow(/^--proxy must be the address of an HTTP proxy/);
  });

  test('its user name and password are in nothing that is printed', () => {
    const config = { proxy: proxySettings('http://user:sesame@proxy.example:3128', {}) };
    for (const shown of [JSON.stringify(config), inspect(config, { depth: 9, showHidden: true }), String(config.proxy.http)])
      expect(shown).not.toMatch(/sesame|user:/);
    expect(JSON.stringify(config.proxy)).toContain('http://proxy.example:3128');
  });
});

describe('a request', () => {
  const server = createServer((request, response) => {
    if (request.url === '/large') return response.end('x'.repeat(1_001));
    if (request.url === '/bomb') return response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(1_000_000)));
    if (request.url === '/packed') return response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('unpacked'));
    if (request.url === '/away') return response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end();
    if (request.url === '/never') return undefined;
    return response.end(`${request.method} ${request.url}`);
  });
  let port = 0;
  let outbound: Outbound;
  beforeEach(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
    outbound = new Outbound(NO_PROXIES);
  });
  afterEach(async () => {
    outbound.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const at = (path: string) => new URL(`http://127.0.0.1:${port}${path}`);

  test('is answered; a redirect is an answer', async () => {
    expect(await outbound.ask(at('/a?b'), ASK)).toMatchObject({ status: 200, ok: true, text: 'GET /a?b' });
    expect(await outbound.ask(at('/packed'), ASK)).toMatchObject({ text: 'unpacked' });
    expect(await outbound.ask(at('/away'), ASK)).toMatchObject({ status: 302, ok: false });
  });

  test.each([
    ['/large', /more than 1000 bytes/],
    ['/bomb', /more than 1000 bytes/],
    ['/never', /no answer within 0.2 s/],
  ])('%s: %s', async (path, why) => {
    await expect(outbound.ask(at(path), { ...ASK, timeoutMs: path === '/never' ? 200 : 5_000 })).rejects.toThrow(why);
  });

  test('ends with its signal, and not in the clothes of another failure', async () => {
    const aborter = new AbortController();
    const asked = outbound.ask(at('/never'), { ...ASK, signal: aborter.signal });
    aborter.abort();
    await expect(asked).rejects.toThrow('given up');
    await expect(outbound.ask(at('/a'), { ...ASK, signal: aborter.signal })).rejects.toThrow('given up');
    await expect(outbound.ask(new URL('http://127.0.0.1:9/'), ASK).catch(failureOf)).resolves.toBe('ECONNREFUSED');
  });
});

describe('a proxy', () => {
  let edge: SocketEdge;
  let proxy: TestProxy;
  let folder: string;
  let stop: AbortController;
  let running: Promise<unknown> | undefined;
  let events: AgentEvent[];
  beforeEach(async () => {
    edge = await new SocketEdge().start();
    folder = mkdtempSync(join(tmpdir(), 'ripcord-proxy-'));
    stop = new AbortController();
    events = [];
    running = undefined;
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    stop.abort();
    await running;
    await proxy.close();
    await edge.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const through = async (wish: ProxyWish = {}) => (proxy = await startProxy({ port: Number(new URL(edge.origin).port), ...wish }));
  const shown = () => `http://${new URL(proxy.url).host}`;
  const away = () => new URL('http://edge.example:8787/market');
  const outbound = (url = proxy.url) => new Outbound(proxySettings(url, {}));

  /** An agent whose edge only the proxy can reach. */
  function start(url: string): void {
    edge.claimedOrigin = 'http://edge.example:8787';
    const hotkeyFile = join(folder, 'hotkey');
    const hotkey = createHotkeyFile(hotkeyFile);
    const file = join(folder, 'miner.toml');
    writeFileSync(file, `api = "${edge.claimedOrigin}"\nhotkey = "${hotkeyFile}"\ndata = "${join(folder, 'data')}"\nproxy = "${url}"\n`);
    const config = checkConfig(readConfig({ config: file, name: 'rig', drain: '0' }));
    running = runAgent({ config, hotkey, tell: (e) => events.push(e), signal: stop.signal }).catch((error: unknown) => error);
  }

  test('carries requests, with its password', async () => {
    await through({ credentials: 'user:se%same' });
    const url = proxy.url.replace('//', '//user:se%25same@');
    expect(await outbound(url).ask(away(), ASK)).toMatchObject({ status: 200 });
    expect(proxy.asked).toEqual(['edge.example:8787']);
  });

  test.each<[string, ProxyWish, string, RegExp]>([
    ['wants a password', { credentials: 'user:sesame' }, '', /wants another user name and password \(407\): write it as proxy = /],
    ['wants another password', { credentials: 'user:sesame' }, 'user:guess@', /wants another user name and password \(407\)/],
    ['forbids it', { refuses: 403 }, '', /makes no tunnels to the edge \(403\)/],
    ['cannot reach the edge', { refuses: 502 }, '', /made no tunnel \(502\)/],
  ])('that %s is told as such, without any password', async (_, wish, user, why) => {
    await through(wish);
    const said = await outbound(proxy.url.replace('//', `//${user}`))
      .ask(away(), ASK)
      .catch(failureOf);
    expect(said).toMatch(why);
    expect(said).toContain(shown());
    expect(said).not.toMatch(/sesame|guess/);
  });

  test('that never answers, or is not there, holds nobody up', async () => {
    await through({ refuses: 0 });
    const settings = { ...NO_PROXIES, http: new HttpProxy(new URL(proxy.url)) };
    const tunnel = new Tunnel(new HttpProxy(new URL(proxy.url)), 100);
    await expect(
      new Promise((_, reject) => {
        request(away(), { agent: tunnel }).on('error', reject).end();
      }),
    ).rejects.toThrow('did not answer within 0.1 s');
    await until('the tunnel given up is closed', () => proxy.open === 0);
    await expect(new Outbound(settings).ask(away(), { ...ASK, timeoutMs: 100 })).rejects.toThrow('no answer within 0.1 s');
    await expect(outbound('http://127.0.0.1:9').ask(away(), ASK)).rejects.toThrow(
      'the proxy http://127.0.0.1:9 does not answer (ECONNREFUSED)',
    );
  });

  test('carries an agent: the login, the socket, the market', async () => {
    await through({ credentials: 'user:sesame', bufferMs: 5 });
    start(proxy.url.replace('//', '//user:sesame@'));
    await until('the agent is up', () => events.find((e) => e.event === 'link' && e.state === 'up'));
    await until('the market is asked', () => edge.looks > 1);
    expect(new Set(proxy.asked)).toEqual(new Set(['edge.example:8787']));
    expect(JSON.stringify(events)).not.toContain('sesame');
  });

  test('that cuts idle tunnels is outlived: the agent comes back', async () => {
    // Waits before a dial are drawn by lot, up to seconds.
    vi.spyOn(Math, 'random').mockReturnValue(0.01);
    await through({ idleMs: 150 });
    start(proxy.url);
    await until('it was cut and came back', () => proxy.idleCuts >= 1 && edge.logins.length >= 2);
    proxy.cut();
    const before = edge.logins.length;
    await until('it came back from a restart of the proxy', () => edge.logins.length > before);
  });

  test('without its password keeps the agent out, and the agent says what is missing', async () => {
    await through({ credentials: 'user:sesame' });
    start(proxy.url);
    const link = await until('the agent is told', () => events.find((e) => e.event === 'link' && e.detail.includes('407')));
    expect(link).toMatchObject({ state: 'down', detail: expect.stringContaining('wants another user name and password') });
  });
});
