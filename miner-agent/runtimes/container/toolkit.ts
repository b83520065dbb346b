/** The NVIDIA container toolkit: which version, and whether its known holes are closed. */
import { execFile } from 'node:child_process';

/** The first without CVE-2025-23266, by which an image could run code as root on the machine. */
const SAFE = [1, 17, 8] as const;

/** `1.17.8`, or null where there is none. */
export function toolkitVersion(command = 'nvidia-ctk'): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(command, ['--version'], { timeout: 5_000, maxBuffer: 64 * 1024 }, (error, stdout) =>
      resolve(error === null ? (/\bversion (\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? null) : null),
    );
  });
}

export function toolkitSafe(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [i, least] of SAFE.entries()) {
    const part = parts[i] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}
