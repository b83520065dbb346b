/** The stand-in on its port: a client library that knows nothing of it, plain JSON-RPC, the explorer, the faucet, and what breaks it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';
import type { ApiOptions } from '@polkadot/api/types';
import { afterEach, expect, test } from 'vitest';
import { serveChain } from '../../../dev/chain/server.ts';
import { ADA, BEA, JUDGE, NETUID, OWNER, setCall, signed, stage, STRANGER, type Stage } from './stage.ts';
import { hex } from '../../../dev/chain/scale.ts';
import { ITEMS } from '../../../dev/chain/state.ts';
import { until } from '../../harness/until.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

interface Served extends Stage {
  url: string;
}

async function served(ask: Parameters<typeof stage>[0] = {}): Promise<Served> {
  const s = stage(ask);
  const server = await serveChain({ chain: s.chain, metadata: null });
  closing.push(() => server.close());
  return { ...s, url: server.url };
}

function post({ url }: Served, body: unknown, path = ''): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(`${url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text });
}

async function ask(s: Served, method: string, ...params: unknown[]) {
  const reply = await post(s, { jsonrpc: '2.0', id: 1, method, params });
  return (await reply.json()) as { result?: unknown; error?: { code: number; message: string; data?: string } };
}

test('who hangs up in the middle of a request, or asks for what every object has, takes nobody with it', async () => {
  const s = await served();
  for (const method of ['constructor', 'toString', '__proto__'])
    expect(await ask(s, method)).toMatchObject({ error: { code: -32_601, message: 'Method not found' } });
  expect((await ask(s, 'state_call', 'constructor', '0x')).error?.message).toContain('constructor is not found');
  const socket = connect(Number(new URL(s.url).port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n');
  // It says that it reads: now it waits for what does not come.
  await once(socket, 'data');
  socket.resetAndDestroy();
  await once(socket, 'close');
  expect((await ask(s, 'system_chain')).result).toBe('Ripcord stand-in');
});

test('@polkadot/api connects, reads, and submits', async () => {
  const alice = new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromUri('//Alice');
  const s = await served({ funds: { [alice.address]: 10n ** 12n }, validators: [{ hotkey: alice.address, stake: 10n ** 16n }] });
  // Its own types do not agree on what is left out and what is undefined.
  const provider = new WsProvider(s.url.replace('http', 'ws')) as NonNullable<ApiOptions['provider']>;
  const api = await ApiPromise.create({ provider, noInitWarn: true });
  closing.push(() => api.disconnect());
  expect([api.genesisHash.toHex(), api.runtimeVersion.specVersion.toNumber()]).toEqual([s.chain.genesis, 424]);
  expect((await api.query['subtensorModule']?.['uids']?.(NETUID, alice.address))?.toString()).toBe('1');
  expect((await api.query['system']?.['account']?.(alice.address))?.toJSON()).toMatchObject({ data: { free: 10 ** 12 } });
  const state = (await api.call['subnetInfoRuntimeApi']?.['getSubnetState']?.(NETUID))?.toJSON();
  expect(state).toMatchObject({ hotkeys: [OWNER.ss58, alice.address, ADA.ss58, BEA.ss58], validatorPermit: [false, true, false, false] });

  const sent = api.tx['subtensorModule']?.['setMechanismWeights']?.(NETUID, 0, [2, 3], [100, 300], 0);
  const seen: string[] = [];
  const final = new Promise<string>((resolve, reject) => {
    sent
      ?.signAndSend(alice, ({ status, events }) => {
        seen.push(status.type, ...events.map(({ event }) => `${event.section}.${event.method}`));
        if (status.isFinalized) resolve(status.asFinalized.toHex());
      })
      .catch(reject);
  });
  await until('it waits in the pool', () => s.chain.pool.size === 1);
  s.grow(1);
  expect(await final).toBe(s.chain.finalized.hash);
  expect(seen).toContain('subtensorModule.WeightsSet');
  expect(s.chain.best.state.get(ITEMS.weights, NETUID, 1)).toEqual([
    [2, 21_845],
    [3, 65_535],
  ]);
  // The header that it has is the one of the hash: it computes that itself.
  const header = await api.rpc.chain.getHeader();
  expect([header.hash.toHex(), header.number.toNumber()]).toEqual([s.chain.best.hash, 11]);
  await expect(api.tx['subtensorModule']?.['setMechanismWeights']?.(NETUID, 0, [2], [1], 0).signAndSend(alice)).rejects.toThrow(
    /1010.*Custom error: 6/,
  );
});

test.each<[string, (s: Served) => string, number, string | undefined]>([
  ['what cannot be read', () => '0x0102', 1002, 'Could not decode: its length is not what it says'],
  ['a bad signature', (s) => hex(signed(s, JUDGE, setCall([2], [1]), { spec: 1 })), 1010, 'Transaction has a bad signature'],
  [
    'a nonce that is spent',
    (s) => {
      s.chain.submit(signed(s, JUDGE, setCall([2], [1])));
      s.grow(6);
      return hex(signed(s, JUDGE, setCall([2], [1]), { nonce: 0 }));
    },
    1010,
    'Transaction is outdated',
  ],
  ['a hotkey without a stake', (s) => hex(signed(s, STRANGER, setCall([2], [1]))), 1010, 'Custom error: 1'],
  [
    'the same again',
    (s) => {
      const bytes = signed(s, JUDGE, setCall([2], [1]));
      s.chain.submit(bytes);
      return hex(bytes);
    },
    1013,
    undefined,
  ],
])('submitting %s is answered as nodes do', async (_, make, code, data) => {
  const s = await served();
  expect((await ask(s, 'author_submitExtrinsic', make(s))).error).toMatchObject({ code, ...(data === undefined ? {} : { data }) });
});

test('batches are answered call by call, within bounds', async () => {
  const s = await served();
  const call = (id: number, method: string) => ({ jsonrpc: '2.0', id, method, params: [] });
  expect(await (await post(s, [call(1, 'chain_getFinalizedHead'), call(2, 'no_such'), { id: 3 }])).json()).toMatchObject([
    { id: 1, result: s.chain.finalized.hash },
    { id: 2, error: { code: -32_601 } },
    { id: null, error: { code: -32_600 } },
  ]);
  const most = Array.from({ length: 257 }, (_, i) => call(i, 'system_name'));
  expect(await (await post(s, most)).json()).toMatchObject({ error: { code: -32_600 } });
  expect(await (await post(s, 'no json')).json()).toMatchObject({ error: { code: -32_600 } });
  expect((await post(s, ' '.repeat(1024 * 1024 + 1))).status).toBe(413);
  const keys = Array.from({ length: 1_001 }, () => '0x00');
  expect((await ask(s, 'state_queryStorageAt', keys)).error?.code).toBe(-32_602);
});

test('a page of another site cannot speak to it', async () => {
  const s = await served();
  const reply = await fetch(`${s.url}/control`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{"drop":5}' });
  expect([reply.status, s.chain.faults.drop]).toEqual([415, 0]);
});

test('the explorer shows people a page, and programs JSON', async () => {
  const s = await served();
  const page = await fetch(s.url, { headers: { accept: 'text/html' } });
  expect([page.headers.get('content-type'), (await page.text()).includes('<title>Stand-in chain</title>')]).toEqual([
    'text/html; charset=utf-8',
    true,
  ]);
  const view = (await (await fetch(s.url)).json()) as { neurons: { hotkey: string; permit: boolean }[]; best: unknown };
  expect(view.best).toEqual({ number: 10, hash: s.chain.best.hash });
  expect(view.neurons.map(({ hotkey, permit }) => [hotkey, permit])).toEqual([
    [OWNER.ss58, false],
    [JUDGE.ss58, true],
    [ADA.ss58, false],
    [BEA.ss58, false],
  ]);
});

test('the faucet gives a hotkey a uid, once', async () => {
  const s = await served();
  for (let i = 0; i < 2; i++) {
    expect((await post(s, { hotkey: STRANGER.ss58, coldkey: ADA.ss58, rao: '1000000' }, '/register')).status).toBe(200);
    s.grow(1);
  }
  const { state } = s.chain.best;
  expect([state.find(ITEMS.uids, NETUID, STRANGER.ss58), state.get(ITEMS.size, NETUID), state.get(ITEMS.owner, STRANGER.ss58)]).toEqual([
    4,
    5,
    ADA.ss58,
  ]);
  expect((await post(s, { hotkey: 'nobody' }, '/register')).status).toBe(400);
});

test('it can be busy, and well again', async () => {
  const s = await served();
  await post(s, { fault: 'busy' }, '/control');
  expect((await post(s, { jsonrpc: '2.0', id: 1, method: 'system_name', params: [] })).status).toBe(429);
  await post(s, { fault: null }, '/control');
  expect((await ask(s, 'system_name')).result).toBe('ripcord-stand-in');
});

test('it can leave a question unanswered', async () => {
  const s = await served();
  await post(s, { fault: 'hang' }, '/control');
  const giving = new AbortController();
  const asked = fetch(s.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"id":1,"method":"system_name"}',
    signal: giving.signal,
  });
  // What is asked later is answered: the first is not merely slow.
  await post(s, { fault: 'hang' }, '/control');
  giving.abort();
  await expect(asked).rejects.toThrow(/abort/);
});

test('blocks that are not final can be replaced, and what was in them waits again or is gone', async () => {
  const s = await served();
  const extrinsic = signed(s, JUDGE, setCall([2], [1]));
  s.chain.submit(extrinsic);
  s.grow(2, false);
  const gone = s.chain.best.hash;
  await post(s, { reorg: 2 }, '/control');
  expect([s.chain.best.number, s.chain.best.hash === gone, s.chain.pool.size]).toEqual([13, false, 1]);
  s.grow(1, false);
  expect(s.chain.best.extrinsics).toHaveLength(2);
  await post(s, { reorg: 100, lose: true }, '/control');
  expect(s.chain.line(s.chain.best).includes(s.chain.finalized)).toBe(true);
  expect([s.chain.pool.size, s.chain.finalized.number]).toEqual([0, 10]);
});

test('another runtime comes with a block, and an extrinsic can be lost', async () => {
  const s = await served();
  await post(s, { spec: 425, drop: 1 }, '/control');
  s.grow(1);
  expect((await ask(s, 'state_getRuntimeVersion')).result).toMatchObject({ specVersion: 425, transactionVersion: 1 });
  expect((await ask(s, 'author_submitExtrinsic', hex(signed(s, JUDGE, setCall([2], [1]))))).result).toMatch(/^0x/);
  expect(s.chain.pool.size).toBe(0);
});

test('old blocks are forgotten, and asking for them is refused as pruned nodes do', async () => {
  const s = await served();
  const { hash } = s.chain.best;
  s.grow(310);
  expect((await ask(s, 'state_getStorage', '0x00', hash)).error).toMatchObject({ code: 4003 });
  expect(s.chain.blocks.size).toBeLessThanOrEqual(300);
  expect((await ask(s, 'chain_getBlockHash', 10)).result).toBe(hash);
});
