/** The proxy of a container, over real sockets. */
import http from 'node:http';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EGRESS_LIMITS, Egress } from '../../../miner-agent/runtimes/container/egress.ts';
import type { EgressRules } from '../../../miner-agent/runtimes/container/egress.ts';
import { isPublic } from '../../../miner-agent/runtimes/container/egress-rules.ts';
import { until } from '../../harness/until.ts';

let site: http.Server;
let port: number;
let door: net.Server;
let egress: Egress;
let refused: string[];
const seen: { url: string | undefined; host: string | undefined; auth: string | undefined }[] = [];

beforeEach(async () => {
  seen.length = 0;
  refused = [];
  site = http.createServer((q, r) => {
    seen.push({ url: q.url, host: q.headers.host, auth: q.headers['proxy-authorization'] });
    r.end('x'.repeat(1000));
  });
  port = await listening(site);
});
afterEach(() => {
  egress.close();
  door.close();
  site.closeAllConnections();
  site.close();
});

async function listening(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** Every name leads to this machine, which counts as reachable unless said otherwise. */
async function proxy(rules: Partial<EgressRules> = {}): Promise<number> {
  egress = new Egress({
    hosts: ['good.example', '*.good.example'],
    forbidden: ['bad.good.example'],
    resolve: async () => ['127.0.0.1'],
    reachable: () => true,
    ports: [port],
    limits: EGRESS_LIMITS,
    refused: (why) => refused.push(why),
    ...rules,
  });
  door = net.createServer((socket) => egress.accept(socket));
  return listening(door);
}

function plain(through: number, url: string, headers: Record<string, string> = {}): Promise<number | string> {
  return new Promise((resolve) => {
    const request = http.get({ port: through, path: url, headers, agent: false }, (response) => {
      response.resume().on('close', () => resolve(response.complete ? (response.statusCode ?? 0) : 'cut'));
    });
    request.on('error', () => resolve('cut'));
  });
}

/** The first line of the proxy's answer, and the tunnel. */
function tunnel(through: number, to: string): Promise<{ line: string; socket: net.Socket }> {
  const socket = net.connect(through, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`CONNECT ${to} HTTP/1.1\r\nhost: ${to}\r\n\r\n`);
  return new Promise((resolve) => {
    socket.once('data', (bytes: Buffer) => resolve({ line: bytes.toString().split('\r\n')[0] ?? '', socket }));
    socket.once('close', () => resolve({ line: 'cut', socket }));
  });
}

test('plain requests get through to named hosts, without what is the proxy’s', async () => {
  const through = await proxy();
  expect(await plain(through, `http://good.example:${port}/a?b=1`, { host: 'other.example', 'proxy-authorization': 'Basic x' })).toBe(200);
  expect(seen).toEqual([{ url: '/a?b=1', host: `good.example:${port}`, auth: undefined }]);
});

test('tunnels get through to named hosts', async () => {
  const { line, socket } = await tunnel(await proxy(), `cdn.good.example:${port}`);
  expect(line).toBe('HTTP/1.1 200 Connection established');
  socket.write('GET /t HTTP/1.1\r\nhost: cdn.good.example\r\nconnection: close\r\n\r\n');
  await new Promise((resolve) => socket.once('close', resolve));
  expect(seen.map((s) => s.url)).toEqual(['/t']);
});

test.each([
  ['another host', 'evil.example', {}, 'is not in the egress of its chute.toml'],
  ['one the miner forbids', 'bad.good.example', {}, 'is forbidden by the miner'],
  ['an address instead of a name', '169.254.169.254', {}, 'is not in the egress'],
  ['a name that leads inside', 'good.example', { reachable: isPublic }, 'leads to an address that is not public'],
  ['a name that leads nowhere', 'good.example', { resolve: () => Promise.reject(new Error('ENOTFOUND')) }, 'has no address'],
  ['another port', 'good.example', { ports: [443] }, 'only ports 443 are open'],
])('%s is refused, and told once', async (_what, host, rules, why) => {
  const through = await proxy(rules);
  expect(await plain(through, `http://${host}:${port}/`)).toBe(403);
  expect((await tunnel(through, `${host}:${port}`)).line).toBe('HTTP/1.1 403 Forbidden');
  expect(seen).toEqual([]);
  expect(refused).toEqual([expect.stringContaining(why)]);
});

test('the address that was looked at is the one connected to', async () => {
  const answers = [['203.0.113.1', '127.0.0.1'], ['10.0.0.1']];
  const through = await proxy({ resolve: async () => answers.shift() ?? [], reachable: (address) => address === '127.0.0.1' });
  expect(await plain(through, `http://good.example:${port}/`)).toBe(200);
  expect(await plain(through, `http://good.example:${port}/`)).toBe(403);
});

test('what is no request of a proxy is refused', async () => {
  const through = await proxy();
  expect(await plain(through, '/own')).toBe(403);
  expect(await plain(through, `https://good.example:${port}/`)).toBe(403);
  expect((await tunnel(through, 'good.example:70000')).line).toBe('HTTP/1.1 403 Forbidden');
});

test.each([
  ['a status that is none', 'HTTP/1.1 099 X\r\ncontent-length: 0\r\n\r\n', 502],
  ['a switch that nobody asked for', 'HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 502],
  ['a body that breaks off', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc', 'cut'],
  ['what is no HTTP', 'hello\r\n\r\n', 502],
])('%s from a host harms nobody', async (_what, said, answer) => {
  const liar = net.createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(said)));
  const at = await listening(liar);
  expect(await plain(await proxy({ ports: [at] }), `http://good.example:${at}/`)).toBe(answer);
  liar.close();
});

test('names looked up at a time are bounded', async () => {
  const asked: string[] = [];
  const answer = Promise.withResolvers<string[]>();
  const resolve = (host: string) => (asked.push(host), answer.promise);
  const through = await proxy({ resolve, limits: { ...EGRESS_LIMITS, lookups: 2 } });
  const waiting = [plain(through, `http://a.good.example:${port}/`), plain(through, `http://b.good.example:${port}/`)];
  await until('both are looked up', () => asked.length === 2);
  expect(await plain(through, `http://c.good.example:${port}/`)).toBe(403);
  answer.resolve(['127.0.0.1']);
  expect(await Promise.all(waiting)).toEqual([200, 200]);
  expect(await plain(through, `http://c.good.example:${port}/`)).toBe(200);
});

test('sockets are bounded', async () => {
  const through = await proxy({ limits: { ...EGRESS_LIMITS, sockets: 4 } });
  const open = [await tunnel(through, `good.example:${port}`), await tunnel(through, `good.example:${port}`)];
  expect(open.map((o) => o.line)).toEqual(Array(2).fill('HTTP/1.1 200 Connection established'));
  expect((await tunnel(through, `good.example:${port}`)).line).toBe('cut');
  for (const { socket } of open) socket.destroy();
});

test('bytes are bounded', async () => {
  const through = await proxy({ limits: { ...EGRESS_LIMITS, bytes: 3_000 } });
  const answers: (number | string)[] = [];
  await until('it is refused', async () => answers.push(await plain(through, `http://good.example:${port}/`)) && answers.at(-1) === 403);
  expect(answers.length).toBeLessThan(4);
  expect(refused).toEqual([expect.stringContaining('has had its share of traffic')]);
});

test('a connection that says nothing is closed, and so is one that lives too long', async () => {
  const through = await proxy({ limits: { ...EGRESS_LIMITS, idleMs: 20, lifeMs: 50 } });
  const { socket } = await tunnel(through, `good.example:${port}`);
  await until('it is closed', () => socket.destroyed);
});

test('refusals that are told are bounded', async () => {
  const through = await proxy({ limits: { ...EGRESS_LIMITS, told: 2 } });
  for (const host of ['a', 'b', 'c', 'd']) await plain(through, `http://${host}.evil/`);
  expect(refused).toHaveLength(2);
});
