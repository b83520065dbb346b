/** What holds for every command of `ripcord-miner`: its options, its help, how it fails; and what `offers` shows first. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { failureOf, paintFor, type Cli } from '../../../miner-agent/commands/cli.ts';
import { bestFirst } from '../../../miner-agent/commands/offers.ts';
import { makeProgram, run } from '../../../miner-agent/commands/program.ts';
import { ConfigError } from '../../../miner-agent/config.ts';
import { ControlRefused, NotRunning } from '../../../miner-agent/control/client.ts';
import { KeyfileError } from '../../../miner-agent/identity/hotkey.ts';
import { MoneyRefused } from '../../../miner-agent/money/edge.ts';

const said: string[] = [];
const cli: Cli = {
  write: (text) => void said.push(text),
  terminal: false,
  columns: () => 80,
  rows: () => 24,
  paint: paintFor(false, {}),
  signal: new AbortController().signal,
};

/** Every command that does something, with its whole name. */
function leaves(command: Command, name = ''): [string, Command][] {
  const own = [name, command.name()].filter(Boolean).join(' ');
  const below = command.commands.flatMap((c) => leaves(c, own));
  return below.length === 0 || command.name() === 'payouts' ? [[own, command], ...below] : below;
}
const COMMANDS = leaves(makeProgram(cli, () => undefined));

describe('every command', () => {
  it.each(COMMANDS)('%s takes the shared options and says what it is for', (_, command) => {
    const options = command.options.map((option) => option.long);
    expect(options).toEqual(expect.arrayContaining(['--api', '--hotkey', '--config', '--data', '--name', '--proxy', '--json']));
    expect(command.description()).not.toBe('');
  });

  it('is there', () => {
    const names = COMMANDS.map(([name]) => name.replace('ripcord-miner ', ''));
    for (const name of 'init up status offers why doctor prove verdicts logs pin forbid maintenance drain earnings payouts'.split(' '))
      expect(names).toContain(name);
    expect(names).toContain('service install');
  });
});

describe('service install', () => {
  it('keeps what was given: the proxy, and that no config is read', async () => {
    const home = mkdtempSync(join(tmpdir(), 'rc-service-'));
    const given = [
      '--no-config',
      '--api',
      'https://edge.example',
      '--hotkey',
      '/hk',
      '--data',
      home,
      '--proxy',
      'http://proxy.example:3128',
    ];
    said.length = 0;
    expect(await run(['service', 'install', '--print', ...given], cli)).toBe(0);
    expect(said.join('')).toMatch(
      new RegExp(`ExecStart=.* up --no-config --api https://edge.example --hotkey /hk --data ${home} --proxy http://proxy.example:3128\n`),
    );
  });
});

describe('a failure', () => {
  it.each([
    [new ConfigError('x'), 2, 'usage'],
    [new KeyfileError('x'), 2, 'usage'],
    [new NotRunning('x'), 3, 'not_running'],
    [new ControlRefused('too_many', 'x'), 1, 'too_many'],
    [new MoneyRefused('unreachable', 'x'), 3, 'unreachable'],
    [new MoneyRefused('not_found', 'x'), 1, 'not_found'],
  ])('%s ends with %d %s', (error, exit, code) => expect(failureOf(error)).toMatchObject({ exit, code }));
  it('that nobody expected is none', () => expect(failureOf(new TypeError('bug'))).toBeNull());

  it.each([
    [['--help'], 0],
    [['pim'], 2],
    [['status', '--jsn'], 2],
    [['maintenance', 'maybe'], 2],
    [['drain', '--within', 'soon', '--data', mkdtempSync(join(tmpdir(), 'none-'))], 2],
    [['drain', '--data', mkdtempSync(join(tmpdir(), 'none-'))], 3],
    [['up', '--no-config'], 2],
    [['why', '--no-config'], 2],
  ] as [string[], number][])('%j ends with %d', async (argv, code) => {
    expect(await run(argv, cli)).toBe(code);
  });
});

it('offers come best first, what is taken before all, what cannot run here last', () => {
  const offer = (name: string, verdict: 'take' | 'skip', expectedUsdHour: number | null, urgency = 0) => ({
    chute: name,
    name,
    need: 1,
    urgency,
    bounty: 0,
    expectedUsdHour,
    verdict,
    code: null,
    reason: '',
  });
  const items = [
    offer('none', 'skip', null, 900),
    offer('low', 'skip', 0.1),
    offer('b', 'skip', 2),
    offer('a', 'skip', 2),
    offer('next', 'take', 1),
    offer('urgent', 'skip', 2, 5),
  ];
  expect(bestFirst(items).map(({ name }) => name)).toEqual(['next', 'urgent', 'a', 'b', 'low', 'none']);
});
