import { join, resolve } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { readChuteToml } from '../chute-toml/read.ts';
import { curlLine, deployFolder } from '../deploy.ts';
import { secretLike } from '../env-names.ts';
import { paint, type Io } from '../io.ts';
import { packFolder, size } from '../pack/pack.ts';
import type { Login } from '../registry/login.ts';
import { readSecret } from '../secret-input.ts';
import { openSession } from '../session.ts';
import { waitLive } from '../wait-live.ts';

/** Seconds beyond `start_timeout` for a miner to take the version. */
const TAKE_S = 60;

interface Options {
  wait: boolean;
  dryRun?: true;
  registryUser?: string;
  timeout?: number;
}

export function addDeploy(program: Command, io: Io): void {
  program
    .command('deploy')
    .summary('deploy a folder and wait until it is live')
    .description(
      'Deploys the chute.toml of a folder and waits until an instance of the new version is live.\n' +
        'An image is pinned: the registry tells which one its tag names now, and the version keeps that.\n' +
        'The code folder is packed without .git, node_modules, .env and what .ripcordignore (else .gitignore) names; !node_modules/ in .ripcordignore takes that back.',
    )
    .argument('[folder]', 'the folder with chute.toml', '.')
    .option('--no-wait', 'return as soon as the service has the version')
    .option('--timeout <seconds>', 'how long to wait (else start_timeout and a minute)', seconds)
    .option(
      '--registry-user <name>',
      'who asks the registry of a private image; the password comes from stdin (else what docker login wrote)',
    )
    .option('--dry-run', 'check and pack, send nothing')
    .addHelpText('after', '\nExample:\n  $ ripcord deploy hello\n  $ ripcord deploy hello --no-wait --json')
    .action((folder: string, options: Options, command: Command) => deploy(resolve(io.cwd, folder), options, command, io));
}

async function deploy(dir: string, options: Options, command: Command, io: Io): Promise<void> {
  if (options.dryRun === true) return dryRun(dir, command, io);
  const session = await openSession(io, command, 'any');
  const login = await loginOf(options.registryUser, io);
  const deployment = await deployFolder(session.client, dir, session.note, { login, env: io.env, signal: io.signal });
  const exposed = secretLike(deployment.config.env);
  if (exposed.length > 0)
    await session.note(
      paint(
        io,
        io.err,
        'yellow',
        `${exposed.join(', ')} of [env] can be read by every miner of this chute; see: ripcord secrets set --help`,
      ),
    );
  const curl = curlLine(session.client.origin, deployment);
  // Only a key can make the call that wakes a chute without standing instances.
  const waits = options.wait && (deployment.config.min > 0 || session.key !== null);
  const instance = waits ? await waitLive(session, deployment, (options.timeout ?? deployment.config.start_timeout + TAKE_S) * 1000) : null;
  const head = instance === null ? `${deployment.name} is deployed.` : paint(io, io.out, 'green', `${deployment.name} is live.`);
  const key = io.env['RIPCORD_API_KEY'] ? '' : 'export RIPCORD_API_KEY="$(npx --no-install ripcord keys show)"\n';
  await session.result(
    { ...deployment, live: instance !== null, instance_id: instance?.instance_id ?? null, curl },
    `${head}\n\n${key}${curl}`,
  );
}

async function dryRun(dir: string, command: Command, io: Io): Promise<void> {
  const session = await openSession(io, command, 'nothing');
  const { config, code } = await readChuteToml(join(dir, 'chute.toml'));
  const packed = code === null ? null : await packFolder(code);
  const what = packed === null ? `image ${config.image}` : `${packed.files} files, ${size(packed.bytes)}, sha256 ${packed.sha256}`;
  const plan = {
    config,
    code: packed === null ? null : { sha256: packed.sha256, bytes: packed.bytes, manifest: packed.manifest },
    sent: false,
  };
  await session.result(plan, `${config.name} would deploy: ${what}. Nothing was sent.`);
}

async function loginOf(username: string | undefined, io: Io): Promise<Login | null> {
  return username === undefined ? null : { username, password: await readSecret(io, `Password of ${username} at the registry`, {}) };
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 86_400)
    throw new InvalidArgumentError('It is a whole number of seconds from 1 to 86400.');
  return value;
}
