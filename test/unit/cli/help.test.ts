import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { makeProgram } from '../../../cli/program.ts';
import { Kept, ripcord } from './stand-in.ts';

function names(command: Command, before: string[] = []): string[][] {
  return command.commands.flatMap((inner) => [[...before, inner.name()], ...names(inner, [...before, inner.name()])]);
}

const io = { env: {}, cwd: '/', out: new Kept(), err: new Kept(), in: (async function* () {})(), signal: new AbortController().signal };
const all = names(makeProgram(io));

test('every command is there', () => {
  expect(all.map((name) => name.join(' ')).toSorted()).toEqual([
    'balance',
    'call',
    'calls',
    'chutes',
    'chutes delete',
    'chutes get',
    'chutes list',
    'chutes rollback',
    'chutes versions',
    'deploy',
    'init',
    'keys',
    'keys cap',
    'keys create',
    'keys list',
    'keys revoke',
    'keys show',
    'logs',
    'manifest',
    'metrics',
    'price',
    'price set',
    'price show',
    'quote',
    'register',
    'secrets',
    'secrets delete',
    'secrets list',
    'secrets registry',
    'secrets set',
    'share',
    'topup',
    'usage',
    'warm',
    'whoami',
    'why',
  ]);
});

test.each([[], ...all].map((name) => [name.join(' ') || 'ripcord', name] as const))(
  '%s --help teaches with an example',
  async (_title, name) => {
    const ran = await ripcord([...name, '--help']);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toContain('Example:\n  $ ');
    // Examples are themselves commands that exist.
    for (const [, words = ''] of ran.out.matchAll(/ripcord ((?:[a-z]+ ?)+)/g)) {
      const first = words.trim().split(' ');
      expect(all.some((known) => known.every((word, i) => first[i] === word)) || first[0] === '').toBe(true);
    }
  },
);

test('the main help says where keys come from and what exit codes mean', async () => {
  const out = (await ripcord(['--help'])).out.replaceAll(/\s+/g, ' ');
  expect(out).toMatch(/RIPCORD_API_KEY or the config file, never from the command line/);
  expect(out).toMatch(/0 done, 1 refused by the service, 2 wrong use, 3 unreachable, 130 interrupted/);
  expect(out).not.toContain('--key');
});

test.each([[[]], [['keys']], [['chutes']]])('%j alone is wrong use and shows the help', async (argv) => {
  const ran = await ripcord(argv);
  expect(ran).toMatchObject({ code: 2, out: '' });
  expect(ran.err).toContain('Example:');
});
