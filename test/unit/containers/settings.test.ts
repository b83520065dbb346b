/** The escape checklist: what a container must be asked for, whatever its chute says. */
import { describe, expect, test } from 'vitest';
import { chuteConfigSchema } from '#protocol';
import { chuteContainer, relayContainer } from '../../../miner-agent/runtimes/container/settings.ts';
import type { Asked } from '../../../miner-agent/runtimes/container/settings.ts';

const IMAGE = `registry.example/app@sha256:${'a'.repeat(64)}`;

function asked(config: object = {}, more: Partial<Asked> = {}): Asked {
  return {
    spec: {
      chute: 'c',
      name: 'a/b',
      account: 'acc',
      version: 'f'.repeat(64),
      config: chuteConfigSchema.parse({ name: 'b', image: IMAGE, port: 8000, ...config }),
      code: null,
    },
    image: IMAGE,
    volumes: [],
    env: {},
    network: 'relay-id',
    cache: '/data/cache/acc',
    weights: null,
    gpus: [],
    engine: 'docker',
    proxyPort: 3128,
    labels: { 'ripcord.agent': 'hotkey/name', 'ripcord.instance': 'ins_1', 'ripcord.data': '/data' },
    limits: { memoryMb: 1024, cpus: 2, shmMb: 64, diskGb: 10, own: { openFiles: 1024, processes: 1024 }, runtime: null },
    ...more,
  };
}

const relay = relayContainer({
  image: 'empty',
  user: '1000:1000',
  command: ['/node'],
  mounts: [],
  own: { openFiles: 1024, processes: 1024 },
  labels: {},
});
// What a chute says to get out of each of them.
const hostile = chuteContainer(
  asked(
    {
      env: {
        NVIDIA_VISIBLE_DEVICES: 'all',
        NVIDIA_DRIVER_CAPABILITIES: 'all',
        PORT: '1',
        HTTP_PROXY: 'http://evil',
        http_proxy: 'http://evil',
      },
      egress: ['example.com'],
    },
    { env: { NVIDIA_VISIBLE_DEVICES: 'all' } },
  ),
);
const plain = chuteContainer(asked());
const gpu = chuteContainer(asked({}, { gpus: ['GPU-1', 'GPU-2'] }));
const ofChutes = [
  ['plain', plain],
  ['hostile', hostile],
  ['with GPUs', gpu],
] as const;

describe.each([...ofChutes, ['relay', relay] as const])('every container (%s)', (_name, { HostConfig: host }) => {
  test('has a root that cannot be written to', () => expect(host.ReadonlyRootfs).toBe(true));
  test('has no capability', () => {
    expect(host.CapDrop).toEqual(['ALL']);
    expect(host).not.toHaveProperty('CapAdd');
    expect(host.Privileged).toBe(false);
  });
  test('gains no privileges, and keeps the default seccomp profile', () => expect(host.SecurityOpt).toEqual(['no-new-privileges']));
  test('has bounds of processes, memory without swap, CPU, files, core dumps', () => {
    expect(host.PidsLimit).toBeGreaterThan(0);
    expect(host.Memory).toBeGreaterThan(0);
    expect(host.MemorySwap).toBe(host.Memory);
    expect(host.NanoCpus).toBeGreaterThan(0);
    expect(host.ShmSize).toBeGreaterThan(0);
    expect(host.Ulimits.map((u) => u.Name)).toEqual(['nofile', 'nproc', 'core', 'fsize']);
    expect(host.Ulimits.every((u) => u.Soft === u.Hard)).toBe(true);
    expect(host.Ulimits.find((u) => u.Name === 'core')?.Hard).toBe(0);
  });
  test('has a bounded log and is never restarted by the engine', () => {
    expect(host.LogConfig.Config).toEqual({ 'max-size': '10m', 'max-file': '2' });
    expect(host.RestartPolicy).toEqual({ Name: 'no' });
  });
  test('shares no namespace of the machine, has no device, no port', () => {
    for (const field of [
      'PidMode',
      'IpcMode',
      'UTSMode',
      'UsernsMode',
      'CgroupnsMode',
      'Devices',
      'PortBindings',
      'Binds',
      'VolumesFrom',
      'Links',
    ])
      expect(host).not.toHaveProperty(field);
  });
});

describe.each(ofChutes)('a chute (%s)', (_name, body) => {
  test('runs as nobody, under an init', () => {
    expect(body.User).toBe('65534:65534');
    expect(body.HostConfig.Init).toBe(true);
  });
  test('has the network of its relay only', () => expect(body.HostConfig.NetworkMode).toBe('container:relay-id'));
  test('sees nothing of the machine but the cache of its account', () => {
    expect(body.HostConfig.Mounts).toEqual([{ Type: 'bind', Source: '/data/cache/acc', Target: '/cache', ReadOnly: false }]);
    expect(JSON.stringify(body)).not.toMatch(/\.sock/);
  });
  test('with weights sees those too, and cannot write to them', () => {
    const { Env, HostConfig } = chuteContainer(asked({}, { weights: '/srv/models/tiny', volumes: ['/weights'] }));
    expect(HostConfig.Mounts[1]).toEqual({ Type: 'bind', Source: '/srv/models/tiny', Target: '/weights', ReadOnly: true });
    expect(Env).toContain('RIPCORD_WEIGHTS=/weights');
    expect(Object.keys(HostConfig.Tmpfs)).toEqual(['/tmp']);
  });
  test('writes to memory, in a bounded /tmp without devices or setuid', () =>
    expect(body.HostConfig.Tmpfs).toEqual({ '/tmp': 'rw,nosuid,nodev,size=256m,mode=1777' }));
  test('is labelled', () => expect(Object.keys(body.Labels)).toEqual(['ripcord.agent', 'ripcord.instance', 'ripcord.data']));
  test('finds its model cache, and its port', () => {
    expect(body.Env).toContain('HF_HOME=/cache/huggingface');
    expect(body.Env).toContain('HOME=/tmp');
    expect(body.Env).toContain('PORT=8000');
  });
});

test('what an image declares as volumes is memory too, but for the cache', () => {
  const { HostConfig: host } = chuteContainer(asked({}, { volumes: ['/data', '/cache/', 'var/../var/lib', '/tmp'] }));
  expect(Object.keys(host.Tmpfs)).toEqual(['/tmp', '/data', '/var/lib']);
  expect(new Set(Object.values(host.Tmpfs)).size).toBe(1);
  const many = Array.from({ length: 17 }, (_, i) => `/v${i}`);
  expect(() => chuteContainer(asked({}, { volumes: many }))).toThrow('the image declares 17 volumes; 16 are the most');
});

test('the relay has no network, and hears only the agent', () => {
  expect(relay.HostConfig.NetworkMode).toBe('none');
  expect(relay.Env).toEqual([]);
  expect(relay.HostConfig.Ulimits.find((u) => u.Name === 'fsize')?.Hard).toBe(0);
});

test('a chute without egress has no proxy; one with it has ours', () => {
  expect(plain.Env.some((e) => /proxy/i.test(e))).toBe(false);
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'])
    expect(hostile.Env).toContain(`${name}=http://127.0.0.1:3128`);
  expect(hostile.Env.filter((e) => e.includes('evil'))).toEqual([]);
});

test('GPUs are those it was given: by the NVIDIA runtime on Docker, by CDI on Podman, none elsewhere', () => {
  expect(gpu.HostConfig.DeviceRequests).toEqual([{ Driver: 'nvidia', DeviceIDs: ['GPU-1', 'GPU-2'], Capabilities: [['gpu']] }]);
  expect(gpu.Env).toContain('NVIDIA_DRIVER_CAPABILITIES=compute,utility');
  expect(gpu.Env).toContain('NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2');
  const podman = chuteContainer(asked({}, { gpus: ['GPU-1'], engine: 'podman' }));
  expect(podman.HostConfig.DeviceRequests).toEqual([{ Driver: 'cdi', DeviceIDs: ['nvidia.com/gpu=GPU-1'] }]);
  for (const body of [plain, hostile]) {
    expect(body.HostConfig).not.toHaveProperty('DeviceRequests');
    // An engine whose default is the NVIDIA runtime gives GPUs to whoever asks by this variable.
    expect(body.Env.filter((e) => e.startsWith('NVIDIA_VISIBLE_DEVICES'))).toEqual(['NVIDIA_VISIBLE_DEVICES=void']);
  }
});

test('a runtime of the config is the one of the chute', () => {
  const { limits } = asked();
  expect(chuteContainer(asked({}, { limits: { ...limits, runtime: 'runsc' } })).HostConfig.Runtime).toBe('runsc');
  expect(plain.HostConfig).not.toHaveProperty('Runtime');
});
