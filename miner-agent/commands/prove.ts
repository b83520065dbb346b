/** `ripcord-miner prove`: every challenge of the suite against this machine, here and now, judged as judges do it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { chuteConfigSchema, MEM_PROFILES, MM_PROFILES, suiteOf, VERDICTS, type Suite } from '#protocol';
import { treeOf } from '../../cli/pack/manifest.ts';
import { usage } from '../../cli/failure.ts';
import { table } from '../../cli/show.ts';
import { takeInventory } from '../inventory.ts';
import { Possession } from '../possession/possession.ts';
import { Provers } from '../prover/provers.ts';
import { Stage, subjectsOf, type Rehearsal, type Subject } from '../prover/rehearse.ts';
import { result, Setting, withShared, type Cli } from './cli.ts';

const HELP = `
Nothing is sent: the pulses of the beacon are made here, the agent's own code answers, the judge's own code judges. What it shows is what
a judge would see, less the way to the edge. GPUs need a helper to be proven; without one they earn no capacity.
Exit code 1 when something that can be proven was not.
`;

const NETWORKS = ['mainnet', 'development'] as const;
/** Bytes of the files that are made for the check of files. */
const FILES_BYTES = 1024 * 1024;

interface Options {
  network?: string;
  profile?: string;
}

export function addProve(program: Command, cli: Cli, exit: (code: 0 | 1) => void): void {
  withShared(program.command('prove'))
    .summary('the whole suite of challenges against this machine, offline')
    .description('Runs every challenge against this machine, without a network, and tells what a judge would say.')
    .option('--network <name>', 'whose suite: mainnet or development', 'mainnet')
    .option('--profile <name>', 'only this one, whatever the class of a device asks for')
    .addHelpText('after', HELP)
    .action(async (options: Options, command: Command) => {
      const setting = new Setting(command);
      const suite = chosenSuite(options);
      const { devices } = await takeInventory({ region: 'unknown', hasEngines: false, dataFolder: setting.dataFolder, engine: null });
      const subjects = devices.flatMap((device) => subjectsOf(suite, device) ?? []).filter((s) => isChosen(s, options.profile));
      const played = await playAll(suite, subjects, options.profile === undefined, cli.provers);
      exit(played.every(isFine) ? 0 : 1);
      result(cli, setting, { network: suite.name, items: played.map(itemOf) }, shown(suite, played, cli));
    });
}

function chosenSuite({ network, profile }: Options): Suite {
  if (!NETWORKS.some((name) => name === network))
    throw usage('usage', `There is no network ${network}.`, { hint: `It is ${NETWORKS.join(' or ')}.` });
  const suite = suiteOf(network);
  if (profile === undefined) return suite;
  const mm = mmNames.find((name) => name === profile);
  const mem = memNames.find((name) => name === profile);
  if (mm === undefined && mem === undefined)
    throw usage('usage', `There is no profile ${profile}.`, { hint: `It is one of ${[...mmNames, ...memNames].join(', ')}.` });
  return { ...suite, classes: suite.classes.map((c) => ({ ...c, mm: mm ?? c.mm, mem: mem ?? c.mem })) };
}

const mmNames = Object.keys(MM_PROFILES) as (keyof typeof MM_PROFILES)[];
const memNames = Object.keys(MEM_PROFILES) as (keyof typeof MEM_PROFILES)[];

function isChosen(subject: { profile: string }, profile: string | undefined): boolean {
  return profile === undefined || subject.profile === profile;
}

async function playAll(suite: Suite, subjects: readonly Subject[], withFiles: boolean, given?: Provers): Promise<Rehearsal[]> {
  const provers = given ?? new Provers();
  const possession = new Possession(null);
  const stage = new Stage(suite, provers, possession);
  const folder = await mkdtemp(join(tmpdir(), 'ripcord-prove-'));
  try {
    const files = withFiles ? [await someFiles(folder, possession)] : [];
    const played: Rehearsal[] = [];
    for (const subject of [...subjects, ...files]) played.push(await stage.play(subject, Date.now));
    return played;
  } finally {
    await provers.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** An instance with files of its own, held as one of a chute would be. */
async function someFiles(folder: string, possession: Possession): Promise<Subject> {
  const codeFolder = join(folder, 'code');
  await mkdir(codeFolder);
  await writeFile(join(codeFolder, 'model.bin'), randomBytes(FILES_BYTES));
  const { root, leaves } = await treeOf(codeFolder);
  const manifest = { root, leaves };
  const spec = { code: { sha256: '0'.repeat(64), bytes: 1, manifest }, config: chuteConfigSchema.parse({ name: 'a', command: ['a'] }) };
  const archive = () => Promise.reject(new Error('nothing was packed'));
  await possession.take({ instance: 'files', spec, codeFolder, archive }, new AbortController().signal, () => {});
  return { kind: 'fs', instance: 'files', manifest };
}

/** A device that no prover of this agent is for is no fault of this machine. */
function isFine({ verdict, declined }: Rehearsal): boolean {
  return VERDICTS[verdict.reason].outcome === 'pass' || declined?.startsWith('no prover for ') === true;
}

function itemOf({ of, name, profile, steps, openingBytes, declined, verdict }: Rehearsal) {
  const { kind, reason, elapsed_ms, rate, class: proven, wrong } = verdict;
  const { outcome, text, next } = VERDICTS[reason];
  return {
    of,
    name,
    kind,
    profile,
    steps,
    outcome,
    reason,
    text,
    next,
    elapsed_ms,
    rate,
    class: proven,
    opening_bytes: openingBytes,
    declined,
    wrong,
  };
}

function shown(suite: Suite, played: readonly Rehearsal[], { paint }: Cli): string {
  const rows = played.map(({ of, profile, steps, openingBytes, declined, verdict }) => [
    of,
    verdict.kind,
    profile,
    steps === 0 ? '' : String(steps),
    verdict.elapsed_ms === null ? '' : `${verdict.elapsed_ms} ms`,
    openingBytes === 0 ? '' : `${Math.ceil(openingBytes / 1000)} kB`,
    rateText(verdict.kind, verdict.rate),
    verdict.class ?? '',
    declined ?? verdict.reason,
  ]);
  const text = table(['OF', 'CHALLENGE', 'PROFILE', 'STEPS', 'TIME', 'OPENED', 'RATE', 'CLASS', 'VERDICT'], rows, [
    'STEPS',
    'TIME',
    'OPENED',
    'RATE',
  ]);
  const failed = played.filter((one) => !isFine(one));
  const ends = failed.map(({ of, verdict }) => `${of}: ${VERDICTS[verdict.reason].text} ${VERDICTS[verdict.reason].next}`);
  return [text, '', ...paid(suite, played), ...ends.map((line) => paint('red', line))].join('\n');
}

/** What the proven classes are worth in this network's score. */
function paid(suite: Suite, played: readonly Rehearsal[]): string[] {
  return played.flatMap(({ of, verdict }) => {
    if (verdict.kind !== 'pow.mm') return [];
    if (verdict.class === null) return [`${of} is unproven: it earns no capacity.`];
    const found = suite.classes.find((c) => c.name === verdict.class);
    if (found === undefined || found.units === 0) return [`${of} is of class ${verdict.class}, which earns no capacity on ${suite.name}.`];
    const share = Math.min(100, Math.floor((100 * (verdict.rate ?? 0)) / found.rate));
    return [`${of} is of class ${found.name}: ${share} % of its ${found.units} units count on ${suite.name}.`];
  });
}

export function rateText(kind: string, rate: number | null): string {
  if (rate === null) return '';
  return kind === 'pow.mm' ? `${rate.toLocaleString('en-US')} M/s` : `${rate.toLocaleString('en-US')} /s`;
}
