/** Whether a version of the NVIDIA container toolkit has its known holes closed. Pure. */
/** The first without CVE-2025-23266, by which an image could run code as root on the machine. */
const SAFE = [1, 17, 8] as const;

export function toolkitSafe(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [i, least] of SAFE.entries()) {
    const part = parts[i] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}
