/** Control messages from an agent to the edge: JSON text messages, one union. Call traffic is in `frames.ts`. */
import * as z from 'zod/mini';
import { commitmentSchema } from './challenge/transcript.ts';
import { LIMITS } from './limits.ts';
import { attemptSchema } from './payloads.ts';
import { WHY_CODES } from './why.ts';

const id = z.string().check(z.minLength(1), z.maxLength(64));
const count = z.number().check(z.int(), z.nonnegative());

export const deviceSchema = z.object({
  id,
  kind: z.enum(['cpu', 'gpu']),
  /** As the driver or the kernel says it; shown, never trusted. */
  name: z.string().check(z.maxLength(128)),
  /** MiB of the device's own memory; of RAM for the CPU device. */
  memoryMb: count,
  /** As the driver says, where it does: its version, the bus address, PCIe generation and lanes, watts it may draw. */
  driver: z.optional(z.string().check(z.maxLength(32))),
  bus: z.optional(z.string().check(z.maxLength(32))),
  pcieGen: z.optional(count),
  pcieLanes: z.optional(count),
  watts: z.optional(count),
});
export type Device = z.infer<typeof deviceSchema>;

export const inventorySchema = z.object({
  agentVersion: z.string().check(z.maxLength(32)),
  platform: z.string().check(z.maxLength(64)),
  runtimes: z.array(z.enum(['process', 'url', 'docker'])).check(z.maxLength(3)),
  devices: z.array(deviceSchema).check(z.maxLength(64)),
  region: z._default(z.string().check(z.maxLength(32)), 'unknown'),
  /** Of the machine: CPU threads, MiB of RAM, and MiB free where instances keep files. */
  cpus: z.optional(count),
  memoryMb: z.optional(count),
  diskFreeMb: z.optional(count),
  /** The container engine that answers, `docker 28.2.2`; and the NVIDIA container toolkit, `1.17.8`. */
  engine: z.optional(z.string().check(z.maxLength(64))),
  toolkit: z.optional(z.string().check(z.maxLength(32))),
});
export type Inventory = z.infer<typeof inventorySchema>;

export const instanceStateSchema = z.enum(['starting', 'live', 'draining', 'failed', 'stopped']);
export type InstanceState = z.infer<typeof instanceStateSchema>;

export const instanceReportSchema = z.object({
  instance: id,
  chute: id,
  version: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  state: instanceStateSchema,
  /** What is going on in it: `fetching 40 %`, `exit code 1: …`. */
  detail: z._default(z.string().check(z.maxLength(512)), ''),
  /** Devices of the agent that it runs on. From version 2. */
  devices: z.optional(z.array(id).check(z.maxLength(64))),
});
export type InstanceReport = z.infer<typeof instanceReportSchema>;

/** A stream the agent still has from before the reconnect. */
export const heldStreamSchema = z.object({
  stream: z.number().check(z.int(), z.nonnegative()),
  attempt: attemptSchema,
  instance: id,
  /** Request bytes received, and whether the request's END came. */
  received: count,
  requestEnded: z.boolean(),
  /** Reply bytes kept: from `kept` (the first still held) up to `produced`. */
  kept: count,
  produced: count,
  /** The checkpoint at `kept` (empty at 0) and the newest one, base64url, as ACK gave them. */
  base: z.string().check(z.maxLength(512)),
  latest: z.string().check(z.maxLength(512)),
});
export type HeldStream = z.infer<typeof heldStreamSchema>;

/** First message of a session. */
export const helloSchema = z.object({
  type: z.literal('hello'),
  inventory: inventorySchema,
  instances: z.array(instanceReportSchema).check(z.maxLength(LIMITS.instances)),
  streams: z.array(heldStreamSchema).check(z.maxLength(LIMITS.streams)),
});
export type Hello = z.infer<typeof helloSchema>;

/** I would start one instance of this version. Answered by `grant` or `refusal` with the same `ref`. */
export const claimSchema = z.object({ type: z.literal('claim'), ref: id, chute: id, version: z.string().check(z.regex(/^[0-9a-f]{64}$/)) });

export const reportSchema = z.object({ type: z.literal('report'), report: instanceReportSchema });

export const logSchema = z.object({
  type: z.literal('log'),
  instance: id,
  /** Number of the first line of this message, from 0 per instance; a gap means lines were dropped at the agent. */
  seq: count,
  lines: z
    .array(z.object({ at: count, source: z.enum(['out', 'err', 'agent']), text: z.string().check(z.maxLength(LIMITS.logLineBytes)) }))
    .check(z.maxLength(LIMITS.logLines)),
});
export type LogMessage = z.infer<typeof logSchema>;
export type LogLine = LogMessage['lines'][number];

/** No new calls and claims; what runs is finished within `withinMs`, then the agent closes with `CLOSE.done`. */
export const drainSchema = z.object({ type: z.literal('drain'), withinMs: count });

/** Why this agent takes no more work, counted over the offers it saw; told when it changes, at most every few seconds. From version 2. */
export const idleSchema = z.object({
  type: z.literal('idle'),
  /** Its operator wants no new work for now. */
  maintenance: z.boolean(),
  /** Offers on the board when it looked. */
  offers: count,
  reasons: z
    .array(z.object({ code: z.enum(WHY_CODES), count, chutes: z.array(z.string().check(z.maxLength(96))).check(z.maxLength(5)) }))
    .check(z.maxLength(32)),
});
export type IdleMessage = z.infer<typeof idleSchema>;

/** The work of a challenge is done and bound: from here its samples cannot be chosen. From version 2. */
export const commitSchema = z.extend(commitmentSchema, { type: z.literal('commit'), id });
export type CommitMessage = z.infer<typeof commitSchema>;

/** No proof will come, and why: `no prover for gpu`. From version 2. */
export const declineSchema = z.object({ type: z.literal('decline'), id, reason: z.string().check(z.maxLength(128)) });

/** Answer to a `ping` challenge. */
export const pongSchema = z.object({ type: z.literal('pong'), id });

export const upSchema = z.discriminatedUnion('type', [
  helloSchema,
  claimSchema,
  reportSchema,
  logSchema,
  drainSchema,
  idleSchema,
  pongSchema,
  commitSchema,
  declineSchema,
]);
export type Up = z.infer<typeof upSchema>;
