/** Nano-USD (10⁻⁹ USD) as people read it; the edge, the commands and the books say it alike. */

/** `12.50`, `-0.000000001`: at least two decimals, and no digit lost. */
export function showUsd(nanousd: bigint | string): string {
  const nano = BigInt(nanousd);
  const digits = (nano < 0n ? -nano : nano).toString().padStart(10, '0');
  return `${nano < 0n ? '-' : ''}${digits.slice(0, -9)}.${digits.slice(-9).replace(/0{1,7}$/, '')}`;
}
