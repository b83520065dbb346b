/** The limits the agent itself runs under: an engine without root, or in a container of its own, cannot give more. */
import { readFileSync } from 'node:fs';

export interface OwnLimits {
  openFiles: number;
  /** The kernel counts these per user over all containers, so they bound no single one. */
  processes: number;
}

const MOST: OwnLimits = { openFiles: 65_536, processes: 32_768 };

export function ownLimits(file = '/proc/self/limits'): OwnLimits {
  const text = read(file);
  const hard = (name: string, most: number) => Math.min(most, Number(new RegExp(`^${name} +\\S+ +(\\d+)`, 'm').exec(text)?.[1] ?? most));
  return { openFiles: hard('Max open files', MOST.openFiles), processes: hard('Max processes', MOST.processes) };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
