/** `prove` and `verdicts` as they are typed. */
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { paintFor } from '../../../miner-agent/commands/cli.ts';
import { run } from '../../../miner-agent/commands/program.ts';
import { createHotkeyFile } from '../../../miner-agent/identity/hotkey.ts';

const home = mkdtempSync(join(tmpdir(), 'ripcord-prove-'));
const file = join(home, 'hotkey');
const HARD = {
  id: 'chl_1',
  kind: 'pow.mm',
  target: 'agt_1/cpu0',
  judge: '5Judge'.padEnd(48, '0'),
  at: 0,
  slot: 0,
  reason: 'wrong_leaf',
  outcome: 'hard',
  text: 'A sampled leaf is not what the work gives.',
  next: 'Run `ripcord-miner prove`.\u001b[2J',
  elapsed_ms: 412,
  rate: 1_234,
  class: null,
  wrong: { at: 'step 3 row 7 tile 1', due: '00000001', given: '00000002' },
  cost: { gated_until: 86_400_000, forfeited_nanousd: '1500000000' },
};
const FINE = { ...HARD, id: 'chl_2', reason: 'proven', outcome: 'pass', rate: 5_512, class: 'cpu', wrong: null, cost: null };

let server: Server;
let api = '';
let ss58 = '';
beforeAll(async () => {
  ({ ss58 } = createHotkeyFile(file));
  const page = { hotkey: ss58, gated: { until: 86_400_000, reason: 'wrong_leaf', challenge: 'chl_1' }, items: [FINE, HARD], next: null };
  server = createServer((request, response) => {
    const found = request.url === `/miners/${ss58}/verdicts`;
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ? page : { code: 'not_found', detail: 'No such miner.' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  api = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function ran(...argv: string[]): Promise<{ code: number; out: string }> {
  const said: string[] = [];
  const { signal } = new AbortController();
  const cli = {
    write: (text: string) => void said.push(text),
    terminal: false,
    columns: () => 80,
    rows: () => 24,
    paint: paintFor(false, {}),
    signal,
  };
  const code = await run([...argv, '--no-config', '--data', home], cli);
  return { code, out: said.join('') };
}

test('prove plays every challenge that this machine is asked, and tells what it is worth', async () => {
  const { code, out } = await ran('prove', '--network', 'development');
  expect(code, out).toBe(0);
  expect(out).toMatch(/cpu0 +pow\.mm +mm-128 +\d+ +\d+ ms +\d+ kB +[\d,]+ M\/s +cpu +proven/);
  expect(out).toMatch(/cpu0 +pow\.mem +mem-cpu .* \/s +cpu +proven/);
  for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  expect(out).toMatch(/files +fs +fs .* proven/);
  expect(out).toMatch(/cpu0 is of class cpu: \d+ % of its 100 units count on development\./);
});

test('prove plays one profile alone, as JSON', async () => {
  const { code, out } = await ran('prove', '--profile', 'mem-cpu', '--json');
  expect(code).toBe(0);
  const { network, items } = JSON.parse(out) as { network: string; items: object[] };
  expect(network).toBe('mainnet');
  expect(items).toMatchObject([
    { of: 'cpu0', kind: 'pow.mem', profile: 'mem-cpu', outcome: 'pass', reason: 'proven', declined: null, wrong: null },
  ]);
});

test.each([[['prove', '--profile', 'mm-1']], [['prove', '--network', 'moon']], [['verdicts', '--limit', '0']], [['verdicts']]])(
  '%j is wrong use',
  async (argv) => expect((await ran(...argv)).code).toBe(2),
);

test('verdicts tells reason, evidence, cost, and how to judge it again', async () => {
  const { code, out } = await ran('verdicts', '--api', api, '--hotkey', file);
  expect(code).toBe(0);
  const lines = out.split('\n');
  expect(lines[0]).toBe('Gated until 1970-01-02 00:00:00Z: wrong_leaf in chl_1. Paid calls go elsewhere.');
  expect(out).toMatch(/chl_2 +pow\.mm +cpu0 +proven +412 ms +cpu +1\n/);
  expect(lines.slice(-6)).toEqual([
    'chl_1  wrong_leaf (hard, by 5Judge00): A sampled leaf is not what the work gives. Run `ripcord-miner prove`.[2J',
    '  at step 3 row 7 tile 1: due 00000001, given 00000002',
    '  rate: 1,234 M/s',
    '  cost: gate shut until 1970-01-02 00:00:00Z; $1.50 of pending earnings',
    `  judge it again: ripcord-verify transcript chl_1 --api ${api}`,
    '',
  ]);
});

test('verdicts shows those alone that did not pass, and few where few are asked for', async () => {
  const failed = JSON.parse((await ran('verdicts', '--failed', '--json', '--api', api, '--hotkey', file)).out) as {
    items: { id: string }[];
  };
  expect(failed.items.map((item) => item.id)).toEqual(['chl_1']);
  const one = JSON.parse((await ran('verdicts', '-n', '1', '--json', '--api', api, '--hotkey', file)).out) as { items: { id: string }[] };
  expect(one.items.map((item) => item.id)).toEqual(['chl_2']);
});
