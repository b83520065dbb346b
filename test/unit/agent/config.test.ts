import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, checkConfig, readConfig } from '../../../miner-agent/config.ts';
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
  ] as [Flags, RegExp][])('refuses %j', (flags, why) => {
    expect(() => config(flags)).toThrow(ConfigError);
    expect(() => config(flags)).toThrow(why);
  });
});
