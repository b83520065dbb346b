/** GPU classes that miners have: memory, what an hour of one is worth, what it draws, and how common it is here. */
import type { Device } from '#protocol';
import type { Random } from '../sim/random.ts';

interface GpuClass {
  name: string;
  gb: number;
  /** USD an hour, by which chutes for it are priced. */
  usdHour: number;
  /** Board power as its maker states it. */
  watts: number;
  weight: number;
}

export const GPUS: readonly GpuClass[] = [
  { name: 'NVIDIA RTX A4000', gb: 16, usdHour: 0.2, watts: 140, weight: 3 },
  { name: 'NVIDIA GeForce RTX 3090', gb: 24, usdHour: 0.25, watts: 350, weight: 12 },
  { name: 'NVIDIA GeForce RTX 4090', gb: 24, usdHour: 0.4, watts: 450, weight: 16 },
  { name: 'NVIDIA L4', gb: 24, usdHour: 0.25, watts: 72, weight: 3 },
  { name: 'NVIDIA RTX A5000', gb: 24, usdHour: 0.25, watts: 230, weight: 4 },
  { name: 'NVIDIA GeForce RTX 5090', gb: 32, usdHour: 0.7, watts: 575, weight: 6 },
  { name: 'NVIDIA RTX A6000', gb: 48, usdHour: 0.5, watts: 300, weight: 6 },
  { name: 'NVIDIA L40S', gb: 48, usdHour: 0.85, watts: 350, weight: 6 },
  { name: 'NVIDIA A100 80GB PCIe', gb: 80, usdHour: 1.2, watts: 300, weight: 7 },
  { name: 'NVIDIA H100 PCIe', gb: 80, usdHour: 1.79, watts: 350, weight: 4 },
  { name: 'NVIDIA H100 80GB HBM3', gb: 80, usdHour: 2.35, watts: 700, weight: 6 },
  { name: 'NVIDIA RTX PRO 6000', gb: 96, usdHour: 1.8, watts: 600, weight: 3 },
  { name: 'NVIDIA H200', gb: 140, usdHour: 2.75, watts: 700, weight: 3 },
  { name: 'NVIDIA B200', gb: 192, usdHour: 4.5, watts: 1000, weight: 1 },
];

const COUNTS = [1, 1, 1, 1, 2, 2, 2, 4, 4, 8] as const;

/** One to eight devices of one class; a machine in six has a second, other GPU beside them. */
export function machine(random: Random): Device[] {
  const first = draw(random);
  const devices = Array.from({ length: random.pick(COUNTS) }, (_, i) => deviceOf(first, i));
  if (random.chance(1 / 6)) devices.push(deviceOf(draw(random), devices.length));
  return devices;
}

export function deviceOf(gpu: GpuClass, index: number): Device {
  return { id: `gpu${index}`, kind: 'gpu', name: gpu.name, memoryMb: gpu.gb * 1024, watts: gpu.watts };
}

export function classOf(device: Device): GpuClass {
  const found = GPUS.find((gpu) => gpu.name === device.name);
  if (found === undefined) throw new Error(`no class ${device.name}`);
  return found;
}

function draw(random: Random): GpuClass {
  let at = random.next() * GPUS.reduce((sum, gpu) => sum + gpu.weight, 0);
  for (const gpu of GPUS) if ((at -= gpu.weight) < 0) return gpu;
  return random.pick(GPUS);
}
