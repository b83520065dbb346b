/** drand's HTTP interface over a local beacon. It keeps no state, so it lives in the supervisor's process, as the bridge does. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { publishedAt } from '#protocol/challenge/beacon.ts';
import { LOOPBACK } from '../ports.ts';
import { BEACON_ID, groupHash, SCHEME, type Beacon } from './beacon.ts';

export interface BeaconServer {
  /** `http://127.0.0.1:PORT` */
  url: string;
  close(): Promise<void>;
}

interface Reply {
  status: number;
  body: unknown;
}

/** `seed`: what the beacon was made of. `now`: unix ms; a test may have a clock of its own. */
export async function serveBeacon(beacon: Beacon, seed: string, { port = 0, now = Date.now } = {}): Promise<BeaconServer> {
  const server = createServer((request, response) => {
    const { status, body } = answer(beacon, seed, request.url ?? '', now());
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  server.listen(port, LOOPBACK);
  await once(server, 'listening');
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${LOOPBACK}:${taken}`,
    async close() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

function answer(beacon: Beacon, seed: string, path: string, atMs: number): Reply {
  const { chain } = beacon;
  if (path === '/chains') return { status: 200, body: [chain.hash] };
  const [, hash, what, round] = /^\/([0-9a-f]{64})\/(info|public)(?:\/(latest|[0-9]{1,12}))?$/.exec(path) ?? [];
  if (hash !== chain.hash) return { status: 404, body: { error: 'no such chain' } };
  if (what === 'info' && round === undefined) return { status: 200, body: infoOf(beacon, seed) };
  if (what !== 'public' || round === undefined) return { status: 404, body: { error: 'not found' } };
  if (round === 'latest') {
    const pulse = beacon.latest(atMs);
    return pulse === null ? { status: 404, body: { error: 'there is no round yet' } } : { status: 200, body: pulse };
  }
  if (Number(round) < 1) return { status: 404, body: { error: 'rounds are counted from 1' } };
  // A beacon that told a round before its time would be none.
  if (publishedAt(chain, Number(round)) > atMs) return { status: 425, body: { error: 'this round is not out yet' } };
  return { status: 200, body: beacon.pulse(Number(round)) };
}

function infoOf({ chain }: Beacon, seed: string) {
  return {
    public_key: chain.publicKey,
    period: chain.period,
    genesis_time: chain.genesis,
    genesis_seed: groupHash(seed),
    chain_hash: chain.hash,
    scheme: SCHEME,
    beacon_id: BEACON_ID,
  };
}
