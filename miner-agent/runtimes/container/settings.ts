/**
 * What an engine is asked for, field by field: the whole isolation of a container stands here. Pure. `docs/containers.md`
 * says what each is against, `test/unit/containers` holds every one of them.
 */
import { posix } from 'node:path';
import type { VersionSpec } from '#protocol';
import { StartFailed, WEIGHTS_VARIABLE } from '../runtime.ts';
import type { OwnLimits } from './own-limits.ts';

export interface Mount {
  Type: 'bind';
  Source: string;
  Target: string;
  ReadOnly: boolean;
}

export interface CreateBody {
  Image: string;
  User: string;
  Env: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  WorkingDir?: string;
  Labels: Record<string, string>;
  StopSignal: string;
  HostConfig: {
    NetworkMode: string;
    ReadonlyRootfs: true;
    CapDrop: string[];
    SecurityOpt: string[];
    Privileged: false;
    Init: boolean;
    PidsLimit: number;
    Memory: number;
    MemorySwap: number;
    NanoCpus: number;
    ShmSize: number;
    Ulimits: { Name: string; Soft: number; Hard: number }[];
    Tmpfs: Record<string, string>;
    Mounts: Mount[];
    LogConfig: { Type: string; Config: Record<string, string> };
    RestartPolicy: { Name: 'no' };
    DeviceRequests?: DeviceRequest[];
    Runtime?: string;
  };
}

interface DeviceRequest {
  Driver: string;
  DeviceIDs: string[];
  Capabilities?: string[][];
}

/** Nobody: no user of the machine or of an image owns anything under it. */
export const NOBODY = 65_534;

/** Where a container finds the model cache of its account. */
export const CACHE = '/cache';
/** And the files that its version names as `[weights]`. */
const WEIGHTS = '/weights';
/** The port of the proxy on a container's loopback. */
export const PROXY_PORT = 3128;

const MIB = 2 ** 20;
const MOST_VOLUMES = 16;

export interface Limits {
  memoryMb: number;
  cpus: number;
  shmMb: number;
  /** GB one file may grow to. */
  diskGb: number;
  own: OwnLimits;
  /** `runsc` for gVisor; null: what the engine has as default. */
  runtime: string | null;
}

export interface Asked {
  spec: VersionSpec;
  /** As a reference by digest. */
  image: string;
  /** Paths that the image declares as volumes. */
  volumes: readonly string[];
  env: Record<string, string>;
  /** The container whose network namespace it joins. */
  network: string;
  /** Folder of the machine. */
  cache: string;
  /** Folder of the machine; null: its version names none. */
  weights: string | null;
  /** UUIDs of GPUs. */
  gpus: readonly string[];
  engine: 'docker' | 'podman';
  proxyPort: number;
  labels: Record<string, string>;
  limits: Limits;
}

/** The container of a chute. Throws `StartFailed` for an image with more volumes than anybody needs. */
export function chuteContainer(asked: Asked): CreateBody {
  const { spec, limits, gpus } = asked;
  const { entrypoint, args } = spec.config;
  return {
    Image: asked.image,
    User: `${NOBODY}:${NOBODY}`,
    Env: environment(asked),
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
    ...(args === undefined ? {} : { Cmd: args }),
    Labels: asked.labels,
    StopSignal: 'SIGTERM',
    HostConfig: {
      ...confined(`container:${asked.network}`, limits.runtime),
      Init: true,
      PidsLimit: 4096,
      Memory: limits.memoryMb * MIB,
      // The same as Memory: no swap.
      MemorySwap: limits.memoryMb * MIB,
      NanoCpus: Math.round(limits.cpus * 1e9),
      ShmSize: limits.shmMb * MIB,
      Ulimits: ulimits(limits.own, limits.diskGb * 1e9),
      Tmpfs: inMemory(asked),
      Mounts: [
        { Type: 'bind', Source: asked.cache, Target: CACHE, ReadOnly: false },
        ...(asked.weights === null ? [] : [{ Type: 'bind' as const, Source: asked.weights, Target: WEIGHTS, ReadOnly: true }]),
      ],
      ...(gpus.length === 0 ? {} : { DeviceRequests: [deviceRequest(asked.engine, gpus)] }),
    },
  };
}

/**
 * What it may write to, all of it memory of the container. An engine would give each volume that the image declares a folder on
 * the machine's disk, to be written to without bound.
 */
function inMemory({ volumes, limits }: Asked): Record<string, string> {
  if (volumes.length > MOST_VOLUMES) throw new StartFailed(`the image declares ${volumes.length} volumes; ${MOST_VOLUMES} are the most`);
  const options = `rw,nosuid,nodev,size=${Math.max(16, Math.floor(limits.memoryMb / 4))}m,mode=1777`;
  const paths = volumes.map((path) => posix.resolve('/', path)).filter((path) => path !== CACHE && path !== WEIGHTS);
  return Object.fromEntries(['/tmp', ...paths].map((path) => [path, options]));
}

export interface RelayAsked {
  image: string;
  /** The agent's own user, as the engine counts users, so that its sockets are the agent's. */
  user: string;
  command: string[];
  mounts: Mount[];
  own: OwnLimits;
  labels: Record<string, string>;
}

/** The container that holds the network namespace and joins it to the agent. It runs our code only. */
export function relayContainer(asked: RelayAsked): CreateBody {
  return {
    Image: asked.image,
    User: asked.user,
    Env: [],
    Entrypoint: asked.command,
    WorkingDir: '/',
    Labels: asked.labels,
    StopSignal: 'SIGKILL',
    HostConfig: {
      // A namespace with nothing in it but a loopback.
      ...confined('none', null),
      Init: false,
      PidsLimit: 64,
      Memory: 256 * MIB,
      MemorySwap: 256 * MIB,
      NanoCpus: 1e9,
      ShmSize: MIB,
      Ulimits: ulimits(asked.own, 0),
      Tmpfs: {},
      Mounts: asked.mounts,
    },
  };
}

/** What holds for every container of ours. Seccomp is not named: then the engine applies its default profile. */
function confined(network: string, runtime: string | null) {
  return {
    NetworkMode: network,
    ReadonlyRootfs: true as const,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    Privileged: false as const,
    LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
    RestartPolicy: { Name: 'no' as const },
    ...(runtime === null ? {} : { Runtime: runtime }),
  };
}

function ulimits(own: OwnLimits, fileBytes: number) {
  const both = (name: string, value: number) => ({ Name: name, Soft: value, Hard: value });
  // `nproc` is no bound (PidsLimit is); without it Podman asks for more than its own user may have.
  return [both('nofile', own.openFiles), both('nproc', own.processes), both('core', 0), both('fsize', fileBytes)];
}

/** The config's variables, then secrets, then what the agent says itself: nothing of a chute's replaces that. */
function environment(asked: Asked): string[] {
  const { spec, gpus, proxyPort } = asked;
  const proxy = `http://127.0.0.1:${proxyPort}`;
  const egress = (spec.config.egress ?? []).length > 0;
  const env: Record<string, string> = {
    HOME: '/tmp',
    HF_HOME: `${CACHE}/huggingface`,
    XDG_CACHE_HOME: `${CACHE}/home`,
    ...spec.config.env,
    ...asked.env,
    ...(asked.weights === null ? {} : { [WEIGHTS_VARIABLE]: WEIGHTS }),
    PORT: String(spec.config.port ?? 0),
    ...(egress ? { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, http_proxy: proxy, https_proxy: proxy, NO_PROXY: NEAR, no_proxy: NEAR } : {}),
    ...(gpus.length > 0 ? { NVIDIA_DRIVER_CAPABILITIES: 'compute,utility' } : {}),
    NVIDIA_VISIBLE_DEVICES: gpus.length > 0 ? gpus.join(',') : 'void',
  };
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

const NEAR = '127.0.0.1,localhost';

/** Docker asks the NVIDIA runtime; Podman takes the names that the container device interface (CDI) gives devices. */
function deviceRequest(engine: 'docker' | 'podman', gpus: readonly string[]): DeviceRequest {
  if (engine === 'podman') return { Driver: 'cdi', DeviceIDs: gpus.map((id) => `nvidia.com/gpu=${id}`) };
  return { Driver: 'nvidia', DeviceIDs: [...gpus], Capabilities: [['gpu']] };
}
