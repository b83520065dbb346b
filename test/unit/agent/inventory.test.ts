/** What is read of a machine: tables of what drivers print, and a fake `nvidia-smi` on the PATH. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { inventorySchema } from '../../../functions/protocol/index.ts';
import { takeInventory, readGpus } from '../../../miner-agent/inventory.ts';
import { diskFreeMb } from '../../../miner-agent/inventory/disk.ts';
import { parseGpus, parseToolkit, problemOf } from '../../../miner-agent/inventory/nvidia.ts';
import { findWallets } from '../../../miner-agent/inventory/wallets.ts';

const H100 = 'GPU-11111111-2222-3333-4444-555555555555, NVIDIA H100 80GB HBM3, 81559, 575.57.08, 00000000:19:00.0, 5, 16, 700.00, Disabled';

describe('nvidia-smi', () => {
  it('gives every fact of a device', () => {
    expect(parseGpus(`${H100}\n`)).toEqual({
      devices: [
        {
          id: 'GPU-11111111-2222-3333-4444-555555555555',
          kind: 'gpu',
          name: 'NVIDIA H100 80GB HBM3',
          memoryMb: 81_559,
          driver: '575.57.08',
          bus: '00000000:19:00.0',
          pcieGen: 5,
          pcieLanes: 16,
          watts: 700,
        },
      ],
      note: null,
    });
  });

  it.each([
    ['facts that are not there', 'GPU-1, NVIDIA GeForce GT 710, 2048, 470.256.02, [N/A], [N/A], [Not Supported], [N/A], [N/A]', 1, null],
    ['units that were not asked for', 'GPU-1, A, 24576 MiB, 1, 0, 4, 16, 450.00 W, [N/A]', 1, null],
    ['a GPU without memory', 'GPU-1, A, [Unknown Error], 1, 0, 4, 16, 450, Disabled', 0, /nvidia-smi says/],
    ['no devices', 'No devices were found\n', 0, /sees no GPU/],
    ['nothing', '', 0, /lists no GPU/],
    ['MIG', H100.replace('Disabled', 'Enabled'), 1, /MIG is on for 1 of 1/],
    ['sixteen', Array.from({ length: 16 }, (_, i) => H100.replace('GPU-1', `GPU-${i}-1`)).join('\n'), 16, null],
    ['more than the wire takes', `${H100}\n`.repeat(200), 63, null],
    ['a line of another program', 'uuid, name\nGPU-1, A, 8192', 1, null],
  ] as [string, string, number, RegExp | null][])('%s', (_, text, devices, note) => {
    const read = parseGpus(text);
    expect(read.devices).toHaveLength(devices);
    if (note === null) expect(read.note).toBeNull();
    else expect(read.note).toMatch(note);
  });

  it.each([
    ['Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 575.57', /restart the machine/],
    ["NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", /not loaded/],
    ['Failed to initialize NVML: Insufficient Permissions', /may not open/],
    ['\u001b[2Jsomething else\nmore', /^nvidia-smi says: {2}\[2Jsomething else$/],
  ])('explains %j', (text, why) => expect(problemOf(text)).toMatch(why));
});

describe('the container toolkit', () => {
  it.each([
    ['NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a9b9d0db00d9b1d73c0128c8962c55f4d\n', '1.17.8'],
    ['cli-version: 1.16.2\nlib-version: 1.16.2\n', '1.16.2'],
    ['NVIDIA Container Toolkit CLI version 1.18.0-rc.1', '1.18.0-rc.1'],
    ['who knows', null],
  ])('%j is %s', (text, version) => expect(parseToolkit(text)).toBe(version));
});

describe('a machine', () => {
  const path = process.env['PATH'];
  afterEach(() => {
    process.env['PATH'] = path;
  });

  function program(name: string, script: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'bin-'));
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
    process.env['PATH'] = `${folder}:/usr/bin:/bin`;
    return folder;
  }

  it('has what its programs say, in a form the wire takes', async () => {
    const folder = program('nvidia-smi', `echo '${H100}'`);
    writeFileSync(join(folder, 'nvidia-ctk'), '#!/bin/sh\necho NVIDIA Container Toolkit CLI version 1.17.8\n', { mode: 0o755 });
    const taken = await takeInventory({ region: 'local', hasEngines: true, dataFolder: '/does/not/exist', engine: 'docker 28.2.2' });
    expect(inventorySchema.parse(taken)).toEqual(taken);
    expect(taken).toMatchObject({ runtimes: ['process', 'url', 'docker'], toolkit: '1.17.8', engine: 'docker 28.2.2' });
    expect(taken.devices.map((d) => d.kind)).toEqual(['cpu', 'gpu']);
    expect(Math.min(taken.cpus ?? 0, taken.memoryMb ?? 0, taken.diskFreeMb ?? 0)).toBeGreaterThan(0);
  });

  it('has no GPU where the driver does not work, and says why', async () => {
    program('nvidia-smi', 'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18');
    expect(await readGpus()).toEqual({ devices: [], note: expect.stringMatching(/restart the machine/) as string });
    process.env['PATH'] = '/does/not/exist';
    expect(await readGpus()).toEqual({ devices: [], note: null });
  });

  it('knows the room of a folder that is yet to be made', () => {
    expect(diskFreeMb(join(tmpdir(), 'not', 'there', 'yet'))).toBe(diskFreeMb(tmpdir()));
  });
});

describe('wallets', () => {
  it('are found by their places, the default one first', () => {
    const home = mkdtempSync(join(tmpdir(), 'home-'));
    expect(findWallets(home)).toEqual([]);
    for (const [wallet, ...keys] of [
      ['alpha', 'hk1', 'hk1pub.txt'],
      ['default', 'aaa', 'default'],
    ] as [string, ...string[]][]) {
      const folder = join(home, '.bittensor', 'wallets', wallet, 'hotkeys');
      mkdirSync(folder, { recursive: true });
      for (const key of keys) writeFileSync(join(folder, key), '');
    }
    mkdirSync(join(home, '.bittensor', 'wallets', 'empty'));
    expect(findWallets(home).map((w) => `${w.wallet}/${w.hotkey}`)).toEqual(['default/default', 'default/aaa', 'alpha/hk1']);
  });
});
