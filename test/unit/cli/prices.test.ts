import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { problem, ripcord, SECRET, StandIn, type Ran } from './stand-in.ts';

let home: string;
let api: StandIn;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ripcord-cli-'));
  api = new StandIn();
  await api.listen();
  api.on('GET /chutes/alice/chat', { json: CHAT });
  api.on('GET /chutes/alice/image', { json: { ...CHAT, name: 'alice/image', template: 'http' } });
});
afterEach(async () => {
  await api.close();
  await rm(home, { recursive: true, force: true });
});

const rip = (argv: string[]): Promise<Ran> =>
  ripcord(argv, { cwd: home, env: { XDG_CONFIG_HOME: home, RIPCORD_API: api.origin, RIPCORD_API_KEY: SECRET } });
const sent = (route: string): unknown => JSON.parse(api.asked(route).at(-1)?.body.toString() ?? 'null');
const errorOf = (ran: Ran) => (JSON.parse(ran.err) as { error: { code: string } }).error;

const CHAT = { chute_id: 'cht_1', name: 'alice/chat', template: 'openai', price: { input_per_million: 150_000_000, per_request: 5 } };
const PRICE = {
  price_version: 'prc_1',
  price: { input_per_million: 150_000_000, output_per_million: 600_000_000, per_request: 0 },
  discount_bps: 2500,
  fee_bps: 1500,
  starts_at: '2027-01-31T12:00:00.000Z',
  ends_at: null,
  in_force: true,
  note: 'launch',
};

describe('price', () => {
  test('shows the history as a table, in USD', async () => {
    api.on('GET /chutes/alice/chat/prices', { json: { items: [{ ...PRICE, in_force: false, note: '' }, PRICE], next: null } });
    for (const argv of [
      ['price', 'alice/chat'],
      ['price', 'show', 'alice/chat'],
    ]) {
      const ran = await rip(argv);
      expect(ran).toMatchObject({ code: 0, err: '' });
      const [, coming, now] = ran.out.split('\n');
      expect(coming).toMatch(/^ +2027-01-31 12:00:00Z +- +input 0\.15, output 0\.60 +25%$/);
      expect(now).toMatch(/^now +2027-01-31 12:00:00Z .* 25% +launch$/);
    }
    expect(JSON.parse((await rip(['--json', 'price', 'alice/chat'])).out)).toMatchObject({ items: [{}, PRICE] });
  });

  test('of a chute that never had one is free', async () => {
    api.on('GET /chutes/alice/chat/prices', { json: { items: [], next: null } });
    expect((await rip(['price', 'alice/chat'])).out).toBe('It is free.\n');
  });

  test('set sends whole nano-USD, keeps what is not named, and the times of a promotion', async () => {
    api.on('PUT /chutes/alice/chat/price', { status: 201, json: PRICE });
    const options = ['--output', '0.60', '--per-second', '0.000000001', '--discount', '12.5%', '--ends', '2099-01-31', '--note', 'launch'];
    const ran = await rip(['price', 'set', 'alice/chat', ...options]);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(sent('PUT /chutes/alice/chat/price')).toEqual({
      price: { input_per_million: 150_000_000, per_request: 5, output_per_million: 600_000_000, per_second: 1 },
      discount_bps: 1250,
      ends_at: '2099-01-31T00:00:00.000Z',
      note: 'launch',
    });
  });

  test.each([
    [['--input', '-1'], 'invalid_price'],
    [['--input', '1e3'], 'invalid_price'],
    [['--input', '0.0000000001'], 'invalid_price'],
    [['--input', '1,5'], 'invalid_price'],
    [['--discount', '101%'], 'invalid_discount'],
    [['--discount', '5'], 'invalid_discount'],
    [['--starts', 'yesterday'], 'invalid_expiry'],
    [['--ends', '2001-01-01'], 'invalid_expiry'],
  ])('set refuses %j and asks nothing', async (options, code) => {
    const ran = await rip(['--json', 'price', 'set', 'alice/chat', ...options.map((word) => word)]);
    expect([ran.code, errorOf(ran).code]).toEqual([2, code]);
    expect(api.seen).toEqual([]);
  });

  test('what the service refuses is told', async () => {
    api.on('PUT /chutes/alice/chat/price', problem(400, 'invalid_request', { detail: 'starts_at: too early.', param: 'starts_at' }));
    const ran = await rip(['price', 'set', 'alice/chat', '--starts', '1m']);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('starts_at: too early.');
  });
});

describe('quote', () => {
  const QUOTE = {
    most_nanousd: '450001',
    lines: [
      { what: 'input_per_million', units: 1000, unit_price_nanousd: '150000000', nanousd: '150001' },
      { what: 'output_per_million', units: 500, unit_price_nanousd: '600000000', nanousd: '300000' },
    ],
    available_nanousd: '1000000000',
    fits: true,
  };

  test('of a chat: its model, its tokens, and what the account has', async () => {
    api.on('POST /quote', { json: QUOTE });
    const ran = await rip(['quote', 'alice/chat', 'Why?', '--max-tokens', '500']);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toMatch(/input_per_million +1000 +0\.000150001\n/);
    expect(ran.out).toMatch(/at most +0\.000450001\n/);
    expect(ran.out).toContain('The account has 1.00 USD, which pays for it.');
    expect(sent('POST /quote?path=%2Fv1%2Fchat%2Fcompletions')).toEqual({
      messages: [{ role: 'user', content: 'Why?' }],
      model: 'alice/chat',
      max_tokens: 500,
    });
  });

  test('of a file for any route; an account that has too little is told', async () => {
    api.on('POST /quote', { json: { ...QUOTE, available_nanousd: '1', fits: false } });
    await writeFile(join(home, 'fox.json'), '{"prompt":"a fox","n":2}');
    const ran = await rip(['quote', 'alice/image', '--path', '/generate', '-d', '@fox.json']);
    expect(ran.out).toContain('The account has 0.000000001 USD, which is not enough.');
    expect(sent('POST /quote?path=%2Fcall%2Falice%2Fimage%2Fgenerate')).toEqual({ prompt: 'a fox', n: 2 });
  });

  test.each([
    [['--max-tokens', '0'], 'usage'],
    [['--max-tokens', '1.5'], 'usage'],
    [['-d', 'not json'], 'invalid_data'],
    [['-d', '@missing.json'], 'no_data'],
    [['--path', 'generate'], 'invalid_path'],
  ])('refuses %j', async (options, code) => {
    const ran = await rip(['--json', 'quote', 'alice/chat', ...options]);
    expect([ran.code, errorOf(ran).code]).toEqual([2, code]);
    expect(api.asked('POST /quote')).toEqual([]);
  });
});
