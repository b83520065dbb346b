import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'smol-toml';
import { ConfigError, checkConfig, placeOf, readConfig } from '../../../miner-agent/config.ts';
import { rawSchema } from '../../../miner-agent/config/file.ts';
import { sampleConfig } from '../../../miner-agent/config/sample.ts';
import type { Flags } from '../../../miner-agent/config.ts';

const FILE = join(mkdtempSync(join(tmpdir(), 'config-')), 'miner.toml');
writeFileSync(
  FILE,
  `api = "https://file.example"
hotkey = "/keys/hk"
name = "rig"
max_instances = 2
[allow]
accounts = ["demo"]
[[engines]]
chute = "bob/llm"
url = "http://127.0.0.1:8000"
slots = 8
`,
);

const SLIP = join(mkdtempSync(join(tmpdir(), 'config-')), 'miner.toml');
writeFileSync(SLIP, 'max_instance = 2\n');

const config = (flags: Flags) => checkConfig(readConfig(flags));

describe('config', () => {
  it('is complete with an edge and a hotkey alone, and trusts nobody', () => {
    const c = config({ api: 'http://127.0.0.1:8787/', hotkey: 'hk' });
    expect(c).toMatchObject({ api: 'http://127.0.0.1:8787', maxInstances: 4, engines: [], allow: { accounts: [], code: [], all: false } });
    expect(c.name).toMatch(/^[a-z0-9-]{1,40}$/);
    expect(c.dataFolder).toContain(c.name);
  });

  it('takes a file, and flags above it', () => {
    const c = config({ config: FILE, api: 'http://flag.example', allowAccount: ['bob'], url: ['demo/chat=http://127.0.0.1:9'] });
    expect(c).toMatchObject({ api: 'http://flag.example', name: 'rig', maxInstances: 2, allow: { accounts: ['demo', 'bob'] } });
    expect(c.engines.map((e) => [e.chute, e.url.href, e.slots])).toEqual([
      ['bob/llm', 'http://127.0.0.1:8000/', 8],
      ['demo/chat', 'http://127.0.0.1:9/', null],
    ]);
  });

  it.each([
    [{ hotkey: 'hk' }, /--api is missing/],
    [{ api: 'http://x' }, /--hotkey is missing/],
    [{ api: 'ftp://x', hotkey: 'hk' }, /--api must be/],
    [{ api: 'http://x/path', hotkey: 'hk' }, /origin/],
    [{ api: 'http://u:p@x', hotkey: 'hk' }, /password/],
    [{ api: 'http://x', hotkey: 'hk', name: 'UP' }, /--name/],
    [{ api: 'http://x', hotkey: 'hk', maxInstances: 'many' }, /--max-instances must be a number/],
    [{ api: 'http://x', hotkey: 'hk', maxInstances: '0' }, /max_instances/],
    [{ api: 'http://x', hotkey: 'hk', url: ['demo/chat'] }, /owner\/name=URL/],
    [{ api: 'http://x', hotkey: 'hk', url: ['chat=http://x'] }, /owner\/name/],
    [{ api: 'http://x', hotkey: 'hk', allowCode: ['abc'] }, /allow\.code/],
    [{ config: '/does/not/exist' }, /exist/],
    [{ config: SLIP }, /there is no field max_instance; did you mean max_instances\?/],
    [{ api: 'http://x', hotkey: 'hk', forbid: ['UP/chat'] }, /forbid/],
    [{ api: 'http://x', hotkey: 'hk', usdPerKwh: '-1' }, /usd_per_kwh/],
    [{ api: 'http://x', hotkey: 'hk', proxy: 'http://user:secret@p:3128' }, /^(?!.*secret).*config file/],
  ] as [Flags, RegExp][])('refuses %j', (flags, why) => {
    expect(() => config(flags)).toThrow(ConfigError);
    expect(() => config(flags)).toThrow(why);
  });
});

describe('the file that init writes', () => {
  const found = { api: 'http://127.0.0.1:8787', hotkey: '~/hk', name: 'rig', engineSocket: null, summary: ['1 GPU'] };
  const sample = sampleConfig(found);

  it('is read back as what was found', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'config-')), 'miner.toml');
    writeFileSync(file, sample);
    expect(config({ config: file })).toMatchObject({ api: 'http://127.0.0.1:8787', name: 'rig', maxInstances: 4, maintenance: false });
    writeFileSync(file, sampleConfig({ ...found, api: null, hotkey: null }));
    expect(readConfig({ config: file })).not.toHaveProperty('api');
  });

  it('names every field, and every example is a good one', () => {
    const all = sample
      .split('\n')
      .filter((line) => !/^#( {3}| (?!\w+ = |\[))/.test(line) || / = /.test(line))
      .map((line) => line.replace(/^# (?=\w+ = |\[)/, '').replace('<sha256 of a code folder>', 'a'.repeat(64)))
      .filter((line) => !line.startsWith('#'))
      .join('\n');
    const read = rawSchema.parse(parse(all));
    expect(Object.keys(read).toSorted()).toEqual(Object.keys(rawSchema.shape).toSorted());
  });
});

it('knows where an agent lies without an edge or a hotkey', () => {
  expect(placeOf(readConfig({ config: false, name: 'rig', data: '/d' }))).toEqual({ name: 'rig', dataFolder: '/d' });
});
