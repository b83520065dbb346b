/**
 * A chute's config: what `chute.toml` says, what the API takes, what a version keeps, what a grant carries to an agent.
 * One schema for all four, so a field cannot mean two things.
 */
import * as z from 'zod/mini';
import { imageName } from './image.ts';
import { LIMITS } from './limits.ts';
import type { Device } from './up.ts';

/** A route of a chute. `retry: safe` lets a call be sent to another instance as long as no byte of a reply came. */
export const cordSchema = z.strictObject({
  path: z.string().check(z.regex(/^\/[A-Za-z0-9\-._~!$&'()*+,;=:@%/{}]{0,255}$/)),
  method: z._default(z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']), 'POST'),
  retry: z._default(z.enum(['safe', 'never']), 'never'),
});
export type Cord = z.infer<typeof cordSchema>;

/** The GPU need of one instance; absent means a CPU is enough. */
export const gpuSchema = z.strictObject({
  count: z._default(z.number().check(z.int(), z.gte(1), z.lte(8)), 1),
  min_vram_gb: z._default(z.number().check(z.gte(1), z.lte(1024)), 16),
  include: z._default(z.array(z.string().check(z.maxLength(64))).check(z.maxLength(64)), []),
  exclude: z._default(z.array(z.string().check(z.maxLength(64))).check(z.maxLength(64)), []),
});
export type GpuNeed = z.infer<typeof gpuSchema>;

/** Nano-USD of one unit. At most 10,000 dollars, so that no sum of a call leaves 64 bits. */
const unitPrice = z.number().check(z.int(), z.nonnegative(), z.lte(1e13));
const free = () => z._default(unitPrice, 0);

/** What a chute asks, in whole nano-USD. `docs/prices.md` has the formula. */
export const priceSchema = z.strictObject({
  input_per_million: free(),
  /** Input the engine had in its cache; absent: as other input. */
  cached_per_million: z.optional(unitPrice),
  output_per_million: free(),
  /** Of a call, from dispatch to its last byte. */
  per_second: free(),
  per_request: free(),
  /** `n` and `steps` of the request. */
  per_image: free(),
  per_step: free(),
  /** Of an instance of a private chute; its calls are free then. */
  per_instance_second: free(),
});
export type Price = z.infer<typeof priceSchema>;

/** Everything free. */
export const NO_PRICE: Price = {
  input_per_million: 0,
  output_per_million: 0,
  per_second: 0,
  per_request: 0,
  per_image: 0,
  per_step: 0,
  per_instance_second: 0,
};

const argument = z.string().check(z.minLength(1), z.maxLength(4096));
const seconds = (least: number, most: number) => z.number().check(z.int(), z.gte(least), z.lte(most));

/** A host a container may reach through its proxy, or all hosts under one: `huggingface.co`, `*.hf.co`. */
const egressHost = z.string().check(z.maxLength(253), z.regex(/^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/));

const envName = z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/));

export const CHUTE_NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;
export const HANDLE = /^[a-z0-9]{3,24}$/;

/** What says how many instances there are. No part of the version: a change replaces no instance. */
export const SCALING = ['min', 'max', 'scale_up_after', 'idle_after', 'bounty'] as const;
export type Scaling = { [K in (typeof SCALING)[number]]: NonNullable<ChuteConfig[K]> };

/** With what holds where the config says nothing. */
export function scalingOf(config: Pick<ChuteConfig, (typeof SCALING)[number]>): Scaling {
  const { min, max, scale_up_after = 0, idle_after = 300, bounty = 0 } = config;
  return { min, max, scale_up_after, idle_after, bounty };
}

export const chuteConfigSchema = z.strictObject({
  name: z.string().check(z.regex(CHUTE_NAME)),
  tagline: z._default(z.string().check(z.maxLength(200)), ''),
  public: z._default(z.boolean(), false),
  /** `openai` gives the chute a place under `/v1` and its token metering; `http` is any program. */
  template: z._default(z.enum(['openai', 'http']), 'http'),
  /** An image, for container runtimes; a version has it by digest, see `isPinned`. Exactly one of `image` and `command`. */
  image: z.optional(z.string().check(z.maxLength(512))),
  /** Of an image: replace its entrypoint, and its command. */
  entrypoint: z.optional(z.array(argument).check(z.minLength(1), z.maxLength(64))),
  args: z.optional(z.array(argument).check(z.maxLength(128))),
  /** Images and programs made for another service run unchanged behind one of these. Absent: it serves its cords itself. */
  adapter: z.optional(z.enum(['cog', 'runpod'])),
  /** The program and its arguments; `{port}` is replaced by the port the agent chose. Run inside the code folder. */
  command: z.optional(z.array(argument).check(z.minLength(1), z.maxLength(64))),
  /** The port an image listens on; a command gets `$PORT`. An adapter knows it. */
  port: z.optional(z.number().check(z.int(), z.gte(1), z.lte(65535))),
  /** A GET of this path answers 200 once the program can serve. */
  health: z._default(z.string().check(z.regex(/^\/[!-~]{0,255}$/)), '/health'),
  /** Seconds a start may take without progress. */
  start_timeout: z._default(z.number().check(z.int(), z.gte(1), z.lte(3600)), 300),
  /** Empty: any method and path is passed on, none is retried but GET and HEAD and the inference routes. */
  cords: z._default(z.array(cordSchema).check(z.maxLength(64)), []),
  gpu: z.optional(gpuSchema),
  /** MiB of RAM one instance may have, of its /dev/shm, and GB of disk it may fill. Containers only. */
  memory_mb: z.optional(z.number().check(z.int(), z.gte(64), z.lte(4_194_304))),
  shm_mb: z.optional(z.number().check(z.int(), z.gte(1), z.lte(1_048_576))),
  disk_gb: z.optional(z.number().check(z.int(), z.gte(1), z.lte(16_384))),
  /** Where its containers may connect to, through the agent's proxy; nowhere else. */
  egress: z.optional(z.array(egressHost).check(z.maxLength(64))),
  /** Calls one instance serves at a time. */
  concurrency: z._default(z.number().check(z.int(), z.gte(1), z.lte(256)), 1),
  /** Instances kept even without calls, and at most. */
  min: z._default(z.number().check(z.int(), z.gte(0), z.lte(100)), 0),
  max: z._default(z.number().check(z.int(), z.gte(1), z.lte(100)), 1),
  /** Seconds that calls must have waited, or nearly all slots been busy, before instances are added to those that serve. */
  scale_up_after: z.optional(seconds(0, 3600)),
  /** Seconds a level of demand is remembered: an instance that was not needed for so long is stopped. */
  idle_after: z.optional(seconds(1, 604_800)),
  /** Nano-USD the owner pays at most to the miner of the first instance of a cold chute; grows to it while calls wait. */
  bounty: z.optional(unitPrice),
  /** Seconds one call may take. */
  timeout: z._default(z.number().check(z.int(), z.gte(1), z.lte(LIMITS.callMs / 1000)), 300),
  env: z._default(z.record(envName, z.string().check(z.maxLength(32768))), {}),
  /** A folder of a model's files that every instance must have, by its manifest: challenges ask for leaves of it. From version 2. */
  weights: z.optional(
    z.strictObject({
      path: z.string().check(z.minLength(1), z.maxLength(512)),
      root: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
      leaves: z.number().check(z.int(), z.gte(1), z.lte(2 ** 31 - 1)),
    }),
  ),
  /** What calls cost from this deploy on. Absent: as before, at first nothing. No part of the version, see `docs/prices.md`. */
  price: z.optional(priceSchema),
});
export type ChuteConfig = z.infer<typeof chuteConfigSchema>;

/** What no single field can say. The first rule broken, as `field: reason`, or null. */
export function configConflict(config: ChuteConfig): string | null {
  if ((config.image === undefined) === (config.command === undefined)) return 'image: give exactly one of image and command';
  if (config.image !== undefined && imageName(config.image) === null) return 'image: this is no name of an image, as ghcr.io/alice/hello:1';
  if (config.image !== undefined && (config.port ?? config.adapter) === undefined) return 'port: an image needs the port it listens on';
  if (config.image === undefined && (config.entrypoint ?? config.args ?? config.egress) !== undefined)
    return 'image: entrypoint, args and egress are of images; this chute has a command';
  if (config.min > config.max) return `min: ${config.min} is more than max (${config.max})`;
  if (new Set(config.cords.map((c) => `${c.method} ${c.path}`)).size !== config.cords.length)
    return 'cords: two routes have the same method and path';
  return null;
}

/** Files as a Merkle tree over leaves of 4 KiB (docs/challenges.md): its root, and how many leaves there are. */
export const manifestSchema = z.strictObject({
  root: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  leaves: z.number().check(z.int(), z.positive(), z.lte(2 ** 31 - 1)),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** The packed code folder of a version: a gzipped tar, named by the SHA-256 of its bytes. */
export const codeRefSchema = z.strictObject({
  sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  bytes: z.number().check(z.int(), z.positive(), z.lte(LIMITS.codeBytes)),
  /** Of the unpacked files; an agent makes it again before it starts them, and challenges ask for leaves of it. From version 2. */
  manifest: z.optional(manifestSchema),
});
export type CodeRef = z.infer<typeof codeRefSchema>;

/** An immutable version as an agent gets it. `version` is the SHA-256 of the canonical config and code hash. */
export const versionSpecSchema = z.object({
  chute: z.string().check(z.maxLength(64)),
  /** `owner/name`, for people and for a miner's allow-list. */
  name: z.string().check(z.maxLength(96)),
  account: z.string().check(z.maxLength(64)),
  version: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  config: chuteConfigSchema,
  code: z.nullable(codeRefSchema),
});
export type VersionSpec = z.infer<typeof versionSpecSchema>;

/** Share of the named memory a driver must report: a "16 GB" card says 15,360 MiB. */
const MEMORY_TOLERANCE = 0.9375;

/** Whether a device has what one GPU of this need must have, by what its driver says. Edge and agents decide alike. */
export function deviceFits(need: GpuNeed, device: Device): boolean {
  const name = plain(device.name);
  const named = (word: string): boolean => plain(word) !== '' && name.includes(plain(word));
  if (device.kind !== 'gpu' || device.memoryMb < need.min_vram_gb * 1024 * MEMORY_TOLERANCE) return false;
  return (need.include.length === 0 || need.include.some(named)) && !need.exclude.some(named);
}

/** `NVIDIA H100 80GB` and `h100-80gb` are one name. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}
