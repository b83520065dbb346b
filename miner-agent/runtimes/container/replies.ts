/** What an engine answers: only the fields that are used, each with a bound. Docker Engine and Podman both fit. */
import * as z from 'zod/mini';

const text = z.string().check(z.maxLength(4096));
const count = z.number().check(z.gte(0));
const orNone = <T extends z.ZodMiniType>(schema: T) => z.optional(z.nullable(schema));

export const versionReply = z.pipe(
  z.object({
    Version: text,
    ApiVersion: z.string().check(z.regex(/^1\.[0-9]{1,3}$/)),
    Components: orNone(z.array(z.object({ Name: text })).check(z.maxLength(32))),
  }),
  z.transform((v) => ({ version: v.Version, apiVersion: v.ApiVersion, components: (v.Components ?? []).map((c) => c.Name) })),
);

export const infoReply = z.pipe(
  z.object({
    DockerRootDir: text,
    NCPU: count,
    MemTotal: count,
    CgroupVersion: z.optional(text),
    SecurityOptions: orNone(z.array(text).check(z.maxLength(32))),
    /** Podman says it in a field of its own. */
    Rootless: z.optional(z.boolean()),
  }),
  z.transform((v) => ({
    root: v.DockerRootDir,
    cpus: v.NCPU,
    memoryBytes: v.MemTotal,
    rootless: v.Rootless === true || (v.SecurityOptions ?? []).some((o) => o.startsWith('name=rootless')),
  })),
);

export const imageReply = z.pipe(
  z.object({
    Id: text,
    RepoDigests: orNone(z.array(text).check(z.maxLength(256))),
    Size: count,
    Config: orNone(z.object({ Volumes: orNone(z.record(text, z.unknown())) })),
  }),
  z.transform((v) => ({ id: v.Id, digests: v.RepoDigests ?? [], bytes: v.Size, volumes: Object.keys(v.Config?.Volumes ?? {}) })),
);

export const createdReply = z.object({ Id: z.string().check(z.regex(/^[0-9a-f]{12,64}$/)) });

export const stateReply = z.pipe(
  z.object({
    State: z.object({
      Status: text,
      Running: z.boolean(),
      OOMKilled: z.boolean(),
      ExitCode: z.number(),
      Error: z.optional(z.string()),
    }),
  }),
  z.transform(({ State: s }) => ({
    status: s.Status,
    running: s.Running,
    outOfMemory: s.OOMKilled,
    exitCode: s.ExitCode,
    error: (s.Error ?? '').slice(0, 300),
  })),
);
export type ContainerState = z.infer<typeof stateReply>;

export const waitReply = z.object({ StatusCode: z.number() });

export const listReply = z.array(z.object({ Id: text, Labels: orNone(z.record(z.string(), z.string())) })).check(z.maxLength(4096));

/** One line of a pull. */
export const pullLine = z.object({
  status: z.optional(z.string()),
  id: z.optional(z.string()),
  error: z.optional(z.string()),
  progressDetail: orNone(z.object({ current: z.optional(count), total: z.optional(count) })),
});
export type PullLine = z.infer<typeof pullLine>;

export const errorReply = z.object({ message: z.string() });
