/** The README's commands are commands: each flag and script exists, the snippet runs. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { makeProgram } from '../../../cli/program.ts';
import type { Io } from '../../../cli/io.ts';
import { HELP } from '../../../dev/options.ts';

const ROOT = join(import.meta.dirname, '../../..');
const run = promisify(execFile);
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** Lines of the shell blocks, without comments; a line that ends in a backslash goes on. */
const lines = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block = '']) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
  .map((line) => line.replace(/\s+#.*$/, '').trim())
  .filter((line) => line !== '');
/** What follows a command name in a shell block. */
const after = (command: string): string[] =>
  lines.flatMap((line) => (line.includes(command) ? [line.slice(line.indexOf(command) + command.length).trim()] : []));
const flagsOf = (words: string): string[] => words.match(/(?<=^|\s)--?[a-z][a-z-]*/g) ?? [];

test('every npm script it names exists', () => {
  const named = [...readme.matchAll(/npm run ([a-z:]+)/g)].map(([, name = '']) => name);
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});

test('flags of npm start are in its help', () => {
  const told = /^\| `npm start`.*$/m.exec(readme)?.[0] ?? '';
  const flags = [...after('npm start --silent --'), told].flatMap(flagsOf);
  expect(flags).toContain('--json');
  for (const flag of flags) expect(HELP + ' --help').toContain(flag);
});

describe('ripcord', () => {
  const silent = {
    out: { write: () => true },
    err: { write: () => true },
    env: {},
    cwd: ROOT,
    signal: new AbortController().signal,
  } as unknown as Io;
  const program = makeProgram(silent);

  test.each(after('--no-install ripcord ').filter((words) => words !== ''))('%s', (words) => {
    const given = words.split(/\s+/);
    let at: Command = program;
    const flags: [Command, string][] = [];
    for (const word of given) {
      if (/^--?[a-z]/.test(word)) flags.push([at, word]);
      at = at.commands.find((command) => command.name() === word) ?? at;
    }
    expect(at).not.toBe(program);
    for (const [command, flag] of flags) {
      const known = [...command.options, ...program.options].flatMap((option) => [option.short, option.long]);
      expect(known, `${flag} of ${command.name()}`).toContain(flag);
    }
  });

  test('it names every command', () => {
    const told = /developer's command: `([a-z ]+)`/.exec(readme)?.[1]?.split(' ');
    expect(told).toEqual(program.commands.map((command) => command.name()));
  });
});

test('flags of the miner are in its help', async () => {
  const { stdout } = await run(process.execPath, [join(ROOT, 'miner-agent/bin.ts'), 'up', '--help']);
  const flags = [...after('npm run miner --').flatMap(flagsOf), '--allow-code', '--url', '--name', '--data'];
  for (const flag of flags) expect(stdout).toContain(flag);
});

test('configs it deploys exist', () => {
  const configs = lines.flatMap((line) => /-c (\S+)/.exec(line)?.[1] ?? []);
  expect(configs.length).toBeGreaterThan(0);
  for (const config of configs) expect(existsSync(join(ROOT, config))).toBe(true);
});

test('secrets it sets are those the Workers read', () => {
  const put = lines.flatMap((line) => /secret put ([A-Z_]+)/.exec(line)?.[1] ?? []);
  const read = readFileSync(join(ROOT, 'functions/env.ts'), 'utf8') + readFileSync(join(ROOT, 'validator-cron/config.ts'), 'utf8');
  expect(put.toSorted()).toEqual(['API_KEY', 'DATABASE_URL', 'EDGE_SECRET', 'JUDGES', 'JUDGE_SEED', 'SECRETS_KEYS']);
  for (const name of put) expect(read).toMatch(new RegExp(`^ {2}${name}\\??: string`, 'm'));
});

describe('the openai snippet', () => {
  const file = join(import.meta.dirname, 'snippets/openai.ts');

  test('is the file that is type-checked', () => {
    expect(/```ts\n([\s\S]*?)```/.exec(readme)?.[1]).toBe(readFileSync(file, 'utf8'));
  });

  test('prints what the API says', async () => {
    const seen: unknown[] = [];
    const server = createServer((request, response) => {
      seen.push(request.method, request.url, request.headers.authorization);
      response.setHeader('content-type', 'text/event-stream');
      for (const content of ['A cord', ' to pull.'])
        response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`);
      response.end('data: [DONE]\n\n');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const { stdout } = await run(process.execPath, [file], { env: { ...process.env, RIPCORD_API: api, RIPCORD_API_KEY: 'rip_test' } });
      expect(stdout).toBe('A cord to pull.');
      expect(seen).toEqual(['POST', '/v1/chat/completions', 'Bearer rip_test']);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
