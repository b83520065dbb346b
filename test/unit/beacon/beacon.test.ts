/** Pulses of the beacon: real ones of quicknet, and hosts on this machine that lie, wait or are gone. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { BeaconError, openBeacon, type BeaconErrorCode } from '../../../functions/beacon/client.ts';
import { pulseOf, verifyPulse } from '../../../functions/beacon/verify.ts';
import { QUICKNET, roundAt, type Pulse } from '#protocol/challenge/beacon.ts';

const ROUND_1000: Pulse = {
  round: 1000,
  randomness: 'fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd',
  signature: 'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39',
};

describe('a signature', () => {
  test('of quicknet is known as one', () => {
    expect(pulseOf(1000, ROUND_1000.signature)).toEqual(ROUND_1000);
    expect(verifyPulse(QUICKNET, ROUND_1000)).toBe(true);
  });

  test.each<[string, Partial<Pulse>]>([
    ['of another round', { round: 1001 }],
    ['with other randomness', { randomness: '00'.repeat(32) }],
    ['that is no point', pulseOf(1000, 'ff'.repeat(48))],
    ['at infinity', pulseOf(1000, `c0${'00'.repeat(47)}`)],
    ['that is no hex', { signature: 'zz' }],
  ])('%s is none', (_, of) => {
    expect(verifyPulse(QUICKNET, { ...ROUND_1000, ...of })).toBe(false);
  });
});

interface Host {
  url: string;
  asked: string[];
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A host that answers every request so. */
async function host(status: number, body: string): Promise<Host> {
  const asked: string[] = [];
  const server = createServer((request, reply) => {
    asked.push(request.url ?? '');
    reply.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** A name of its own for the same chain, so that no test meets the pulses of another. */
let chains = 0;
function envOf(...hosts: Host[]) {
  const hash = (++chains).toString(16).padStart(64, '0');
  return { BEACON_URLS: hosts.map((h) => h.url).join(', '), BEACON_CHAIN: JSON.stringify({ ...QUICKNET, hash }) };
}

async function codeOf(work: Promise<unknown>): Promise<BeaconErrorCode | 'none'> {
  return work.then(
    () => 'none' as const,
    (error: unknown) => (error instanceof BeaconError ? error.code : Promise.reject(error as Error)),
  );
}

const GOOD = JSON.stringify(ROUND_1000);
const WRONG = JSON.stringify({ ...ROUND_1000, signature: `a${ROUND_1000.signature.slice(1)}` });

describe('a pulse', () => {
  test('comes once for all who ask, from the path that drand has', async () => {
    const good = await host(200, GOOD);
    const env = envOf(good);
    const beacon = openBeacon(env);
    expect(await Promise.all([beacon.pulse(1000), beacon.pulse(1000)])).toEqual([ROUND_1000, ROUND_1000]);
    expect(await openBeacon(env).pulse(1000)).toEqual(ROUND_1000);
    expect(good.asked).toEqual([`/${beacon.chain.hash}/public/1000`]);
  });

  test('is taken from the second host where the first is gone, lies, or talks too much', async () => {
    const gone = await host(500, '');
    const lies = await host(200, WRONG);
    const chatty = await host(200, `${' '.repeat(5_000)}${GOOD}`);
    for (const bad of [gone, lies, chatty]) {
      const good = await host(200, GOOD);
      expect(await openBeacon(envOf(bad, good)).pulse(1000)).toEqual(ROUND_1000);
      expect(bad.asked).toHaveLength(1);
      expect(good.asked).toHaveLength(1);
    }
  });

  test('is taken from the second host while the first hangs', async () => {
    let hung = 0;
    const server = createServer(() => (hung += 1));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const hangs = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: [] };
    const bad = await host(500, '');
    const good = await host(200, GOOD);
    expect(await openBeacon(envOf(hangs, bad, good)).pulse(1000)).toEqual(ROUND_1000);
    // An answer within the time of the one that hangs: it is still open.
    expect([hung, bad.asked.length, good.asked.length]).toEqual([1, 1, 1]);
    expect(await new Promise((resolve) => server.getConnections((_, open) => resolve(open)))).toBe(1);
  });

  test.each<[string, number, string, BeaconErrorCode]>([
    ['a host that has it not yet', 425, '{}', 'not_yet'],
    ['a host that does not know it', 404, '', 'not_yet'],
    ['a host that fails', 500, '', 'unreachable'],
    ['a wrong signature', 200, WRONG, 'invalid'],
    ['another round', 200, JSON.stringify({ ...ROUND_1000, round: 999 }), 'invalid'],
    ['no JSON', 200, '<html>', 'invalid'],
  ])('%s: %i', async (_, status, body, code) => {
    expect(await codeOf(openBeacon(envOf(await host(status, body))).pulse(1000))).toBe(code);
  });

  test('that is not out is asked of nobody', async () => {
    const good = await host(200, GOOD);
    expect(await codeOf(openBeacon(envOf(good)).pulse(roundAt(QUICKNET, Date.now()) + 100))).toBe('not_yet');
    expect(good.asked).toEqual([]);
  });
});

test('what is no chain is refused at once', () => {
  expect(() => openBeacon({ BEACON_CHAIN: '{"hash":"1"}' })).toThrow(/BEACON_CHAIN/);
  expect(openBeacon({}).chain).toEqual(QUICKNET);
});
