/** Hosts that lie to an outsider: an edge, a beacon and a node of the chain that answer what suits them. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBeacon } from '../../../dev/beacon/beacon.ts';
import { verifyPulse } from '../../../functions/beacon/verify.ts';
import { canonicalJson, sha256Of } from '#protocol/canonical.ts';
import { QUICKNET } from '#protocol/challenge/index.ts';
import type { Summary } from '#protocol/epoch.ts';
import { readEvidence } from '../../../validator-cron/epoch.ts';
import { compareWithChain } from '../../../validator-cron/verify/chain.ts';
import { Edge, type Judgement } from '../../../validator-cron/verify/edge.ts';
import { Different, Missing } from '../../../validator-cron/verify/outcome.ts';
import { previousSummaries } from '../../../validator-cron/verify/previous.ts';
import { readPulses } from '../../../validator-cron/verify/pulses.ts';

const { signal } = new AbortController();
const ZEROS = '0'.repeat(64);
const servers: Server[] = [];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ripcord-hostile-'));
});
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true, force: true });
});

async function host(answer: (reply: ServerResponse, path: string) => void): Promise<string> {
  const server = createServer((request, reply) => answer(reply, request.url ?? ''));
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const says = (value: unknown) => host((reply) => void reply.end(JSON.stringify(value)));

describe('a beacon', () => {
  const own = makeBeacon({ seed: sha256Of('own'), period: 3 });
  const other = makeBeacon({ seed: sha256Of('other'), period: 3 });
  const ask = (urls: string[]) =>
    readPulses({ chain: own.chain, urls, verify: (pulse) => Promise.resolve(verifyPulse(own.chain, pulse)), folder, signal }, [7]);

  test('one host that lies is passed over; where all lie, nothing is said of the epoch', async () => {
    const forged = await says({ round: 7, signature: other.pulse(7).signature });
    const lies = ask([forged]);
    await expect(lies).rejects.toThrow(Missing);
    await expect(lies).rejects.toThrow('as the chain signed it');
    const honest = await says({ round: 7, signature: own.pulse(7).signature });
    expect((await ask([forged, honest])).get(7)).toEqual(own.pulse(7));
  });

  test('a host without an end is not listened to', async () => {
    let sent = 0;
    const endless = await host((reply) => {
      const more = (): void => {
        while (!reply.destroyed && reply.write(' '.repeat(65_536))) sent += 65_536;
      };
      reply.on('drain', more);
      more();
    });
    await expect(readPulses({ chain: other.chain, urls: [endless], verify: null, folder, signal }, [8])).rejects.toThrow(Missing);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });
});

describe('an edge', () => {
  const info = {
    epoch: 60,
    state: 'open',
    hash: ZEROS,
    seconds: 60,
    suite: 'mainnet',
    previous: ZEROS,
    closed_at: 1,
    beacon: { chain: { ...QUICKNET, publicKey: '00'.repeat(96) }, urls: [] },
    judges: [],
  };

  test('that gives another key as quicknet’s is held to quicknet’s', async () => {
    const read = await new Edge(await says(info), signal).epoch(60);
    expect(read?.beacon.chain).toEqual(QUICKNET);
  });

  test('cannot make an epoch of a billion slots', async () => {
    await expect(new Edge(await says({ ...info, seconds: 1e13 }), signal).epoch(60)).rejects.toThrow(Missing);
  });

  test('cannot send sixty-four million lines', () => {
    expect(() => readEvidence(new Uint8Array(64 * 1024 * 1024).fill(10))).toThrow('more than 200000 lines');
  });
});

describe('earlier summaries', () => {
  const JUDGE = '5Judge';
  const summary = (epoch: number, previous: string): Summary => ({
    v: 1,
    epoch,
    seconds: 60,
    evidence: ZEROS,
    findings: ZEROS,
    previous,
    scoring_sha256: ZEROS,
    miners: [],
  });
  const first = summary(60, ZEROS);
  const second = summary(120, sha256Of(canonicalJson(first)));
  // It was away in 180.
  const third = summary(240, sha256Of(canonicalJson(second)));
  const named = sha256Of(canonicalJson(third));

  const walk = (previous: string, since: number, kept: readonly Summary[] = [first, second, third]) =>
    previousSummaries(
      {
        epochsBefore: (before) =>
          Promise.resolve(
            [240, 180, 120, 60, 0].filter((epoch) => epoch < before).map((epoch) => ({ epoch, state: 'posted' as const, hash: ZEROS })),
          ),
        bytesOf: (path) => {
          const found = kept.find(({ epoch }) => path === `/epochs/${epoch}/judges/${JUDGE}/summary`);
          return Promise.resolve(found === undefined ? null : new TextEncoder().encode(canonicalJson(found)));
        },
      },
      { judge: JUDGE, epoch: 300, previous, since },
    ).then((found) => found.map(({ epoch }) => epoch));

  test('are those of the window, by time and not by number', async () => {
    expect(await walk(named, 0)).toEqual([60, 120, 240]);
    expect(await walk(named, 119)).toEqual([120, 240]);
    expect(await walk(named, 120)).toEqual([240]);
    expect(await walk(ZEROS, 240)).toEqual([]);
  });

  test.each([
    ['one that the judge does not name', ZEROS, 0, [first, second, third], Different],
    ['one in the middle that is not given', named, 0, [first, third], Different],
    ['the newest is not given', named, 0, [], Missing],
    ['the oldest of the window is not given', named, 119, [third], Missing],
  ])('%s', async (_, previous, since, kept, error) => {
    await expect(walk(previous, since, kept)).rejects.toThrow(error);
  });
});

test('a reader that goes makes nothing identical', async () => {
  const program = join(import.meta.dirname, '../../../validator-cron/verify/bin.ts');
  const child = spawn(process.execPath, [program, 'epoch', '60', '--json', '--api', await says('not an epoch')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  child.stdout.destroy();
  expect(await once(child, 'exit')).toEqual([3, null]);
});

test('a node that does not have the block of the judge’s word is not asked for its newest', async () => {
  const genesis = `0x${'11'.repeat(32)}`;
  const node = await host((reply) =>
    reply.end(JSON.stringify([genesis, `0x${'22'.repeat(32)}`, null].map((result, id) => ({ jsonrpc: '2.0', id, result })))),
  );
  const judgement = { judge: '5EsNLFaGe9XK5LzWH3i6eC2Wqv6YqZS1442N1C4yeSdP6uxy', block: 9_999, reveal_round: null } as Judgement;
  await expect(compareWithChain({ url: node, genesis, netuid: 64 }, null, judgement)).rejects.toThrow('has no block 9999');
});
