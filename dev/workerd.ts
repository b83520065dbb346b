/**
 * A Worker's bundle under plain `workerd serve`: about ten times faster than `wrangler dev` and one process. Plain workerd
 * has Durable Objects, text bindings and disk services; R2 becomes a disk service, cron comes from `cron.ts`.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parse } from 'smol-toml';
import * as z from 'zod/mini';
import { bundle } from './bundle.ts';
import { accepting, LOOPBACK } from './ports.ts';
import type { Leash } from './leash.ts';
import { makePart, type Part, type Say } from './supervise.ts';

export interface WorkerAsk {
  /** Shown to people, and the name of its files, e.g. `edge`. */
  name: string;
  root: string;
  /** Relative to the root; says the objects and the compatibility date, here as in a deploy. */
  wranglerToml: string;
  /** Text bindings, secrets among them: they travel in the environment of the process, never in a file or argument. */
  vars: Record<string, string>;
  /** Binding of a writable disk service, if it needs one. */
  blobs?: string;
  /** Which addresses the Worker may fetch, as workerd names them. */
  mayFetch: ('local' | 'private' | 'public')[];
  port: number;
  /** Holds the config, the objects and the blobs. */
  folder: string;
  logFile: string;
}

/** What a local workerd needs of a wrangler.toml. */
const wranglerSchema = z.object({
  compatibility_date: z.string(),
  compatibility_flags: z._default(z.array(z.string()), []),
  durable_objects: z._default(z.object({ bindings: z.array(z.object({ name: z.string(), class_name: z.string() })) }), { bindings: [] }),
});

/** Bigger young generations: fewer of the pauses that show above the 99th percentile (docs: performance). */
const V8_FLAGS = ['--min-semi-space-size=32', '--max-semi-space-size=64'];

export async function startWorker(ask: WorkerAsk, leash: Leash, say: Say): Promise<Part> {
  const script = await bundle(ask, leash.signal);
  const objects = join(ask.folder, 'objects');
  const blobs = join(ask.folder, 'blobs');
  for (const folder of [objects, blobs]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const config = join(ask.folder, 'workerd.capnp');
  writeFileSync(config, configOf(ask, relative(ask.folder, script)), { mode: 0o600 });
  const part = makePart(
    {
      name: ask.name,
      // As many descriptors as this user may have: each agent takes several.
      command: 'sh',
      args: [
        '-c',
        'ulimit -n "$(ulimit -Hn)"; exec "$@"',
        'sh',
        join(ask.root, 'node_modules', '.bin', 'workerd'),
        'serve',
        config,
        '--directory-path',
        `objects=${objects}`,
        '--directory-path',
        `blobs=${blobs}`,
        ...inspector(ask.name),
      ],
      env: { PATH: process.env['PATH'], ...prefixed(ask.vars) },
      cwd: ask.folder,
      logFile: ask.logFile,
      // A polite signal would let open WebSockets keep it for ever, and objects survive a crash by design.
      stopSignal: 'SIGKILL',
      graceMs: 1_000,
      ready: (signal) => accepting(ask.port, signal),
    },
    leash,
    say,
  );
  await part.start();
  return part;
}

/** File descriptors a process of this user may have. */
export function descriptorLimit(): number {
  const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  return limit === 'unlimited' ? 1_048_576 : Number(limit);
}

/** An agent's socket, its object's database and its journal, with room for calls on top. */
const DESCRIPTORS_PER_AGENT = 6;
const DESCRIPTORS_SPARE = 1_000;

export function agentsWithin(descriptors: number): number {
  return Math.max(16, Math.floor((descriptors - DESCRIPTORS_SPARE) / DESCRIPTORS_PER_AGENT));
}

/** `RIPCORD_INSPECT=edge:9229` opens V8's inspector of one Worker on the loopback, for profiles. */
function inspector(name: string): string[] {
  const [worker, port] = (process.env['RIPCORD_INSPECT'] ?? '').split(':');
  return worker === name && port !== undefined ? [`--inspector-addr=${LOOPBACK}:${port}`] : [];
}

/** Variables of the Worker get a prefix, so that none of them can mean something to workerd itself. */
function prefixed(vars: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(vars).map(([name, value]) => [`BINDING_${name}`, value]));
}

function configOf(ask: WorkerAsk, script: string): string {
  const wrangler = wranglerSchema.parse(parse(readFileSync(join(ask.root, ask.wranglerToml), 'utf8')));
  const objects = wrangler.durable_objects.bindings;
  const bindings = [
    ...Object.keys(ask.vars).map((name) => `(name = ${quote(name)}, fromEnvironment = ${quote(`BINDING_${name}`)})`),
    ...objects.map((object) => `(name = ${quote(object.name)}, durableObjectNamespace = ${quote(object.class_name)})`),
    ...(ask.blobs ? [`(name = ${quote(ask.blobs)}, service = "blobs")`] : []),
  ];
  const namespaces = objects.map(
    ({ class_name }) => `(className = ${quote(class_name)}, uniqueKey = ${quote(`ripcord-${class_name}`)}, enableSql = true)`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = [${ask.mayFetch.map(quote).join(', ')}], tlsOptions = (trustBrowserCas = true))),
    (name = "objects", disk = (writable = true)),
    (name = "blobs", disk = (writable = true)),
  ],
  sockets = [(name = "http", address = ${quote(`${LOOPBACK}:${ask.port}`)}, http = (), service = "main")],
  v8Flags = [${V8_FLAGS.map(quote).join(', ')}],
);

const worker :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed ${quote(script)})],
  compatibilityDate = ${quote(wrangler.compatibility_date)},
  compatibilityFlags = [${wrangler.compatibility_flags.map(quote).join(', ')}],
  bindings = [${bindings.join(', ')}],
  durableObjectNamespaces = [${namespaces.join(', ')}],
  durableObjectStorage = (localDisk = "objects"),
);
`;
}

/** The release of workerd that is installed, e.g. `1.20261102.1`. */
export function workerdVersion(root: string): string {
  const text = readFileSync(join(root, 'node_modules', 'workerd', 'package.json'), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

/** A string literal of Cap'n Proto's text format; JSON's escapes are a subset of what it reads. */
function quote(text: string): string {
  return JSON.stringify(text);
}
