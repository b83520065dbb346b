/** What `nvidia-smi` says, read without trust: drivers leave fields out, print sentences instead of rows, and number what is not there. Pure. */
import type { Device } from '#protocol';

/** In the order of the columns. */
export const QUERY = [
  'uuid',
  'name',
  'memory.total',
  'driver_version',
  'pci.bus_id',
  'pcie.link.gen.max',
  'pcie.link.width.max',
  'power.limit',
  'mig.mode.current',
] as const;

export interface Gpus {
  devices: Device[];
  /** Why there are none, or something an operator should know; null: nothing. */
  note: string | null;
}

/** As many as the wire takes beside the CPU. */
const DEVICES = 63;

/** Lines of `--format=csv,noheader,nounits`. A line that holds no GPU with memory is left out. */
export function parseGpus(text: string): Gpus {
  const lines = text.trim().split('\n').slice(0, DEVICES);
  const rows = lines.map((line) => line.split(',').map((cell) => cell.trim()));
  const devices = rows.flatMap(deviceOf);
  const mig = rows.filter((row) => row[8] === 'Enabled').length;
  if (mig > 0) return { devices, note: `MIG is on for ${mig} of ${rows.length} GPUs; each is used whole` };
  return { devices, note: devices.length === 0 ? problemOf(text) : null };
}

function deviceOf([id = '', name = '', memory = '', driver = '', bus = '', gen = '', lanes = '', watts = '']: string[]): Device[] {
  const memoryMb = wholeOf(memory);
  if (!/^(GPU|MIG)-/.test(id) || memoryMb === null || memoryMb === 0) return [];
  return [
    {
      id: id.slice(0, 64),
      kind: 'gpu',
      name: name.slice(0, 128),
      memoryMb,
      ...textField('driver', driver),
      ...textField('bus', bus),
      ...numberField('pcieGen', gen),
      ...numberField('pcieLanes', lanes),
      ...numberField('watts', watts),
    },
  ];
}

/** In one line what keeps `nvidia-smi` from listing GPUs, by what it prints. */
export function problemOf(text: string): string {
  if (/version mismatch/i.test(text)) return 'the NVIDIA driver was updated and the old one is still loaded; restart the machine';
  if (/couldn't communicate with the NVIDIA driver/i.test(text))
    return 'the NVIDIA driver is not loaded; install it, or restart the machine';
  if (/no devices were found/i.test(text)) return 'the NVIDIA driver sees no GPU';
  if (/insufficient permissions/i.test(text)) return 'this user may not open the GPUs; add it to the group of /dev/nvidia0';
  const line = text.trim().split('\n')[0] ?? '';
  return line === '' ? 'nvidia-smi lists no GPU' : `nvidia-smi says: ${line.replace(/[^\x20-\x7e]/g, ' ').slice(0, 160)}`;
}

/** `NVIDIA Container Toolkit CLI version 1.17.8`, `cli-version: 1.17.8`: the number alone. */
export function parseToolkit(text: string): string | null {
  return /version:?\s*v?(\d+\.\d+\.\d+(?:[-+~.][0-9A-Za-z.]+)?)/i.exec(text)?.[1]?.slice(0, 32) ?? null;
}

function textField<K extends 'driver' | 'bus'>(field: K, value: string): { [F in K]?: string } {
  const fields: { [F in K]?: string } = {};
  if (isThere(value)) fields[field] = value.slice(0, 32);
  return fields;
}

function numberField<K extends 'pcieGen' | 'pcieLanes' | 'watts'>(field: K, value: string): { [F in K]?: number } {
  const number = wholeOf(value);
  const fields: { [F in K]?: number } = {};
  if (number !== null) fields[field] = number;
  return fields;
}

/** `[N/A]`, `[Not Supported]`, `[Unknown Error]` and their kind are not there. */
function isThere(value: string): boolean {
  return value !== '' && !value.startsWith('[') && value !== 'N/A';
}

function wholeOf(value: string): number | null {
  const number = Math.round(Number(value.replace(/ ?(MiB|W)$/, '')));
  return isThere(value) && Number.isSafeInteger(number) && number >= 0 ? number : null;
}
