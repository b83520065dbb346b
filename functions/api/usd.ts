/** `"0.000001500"` of 1,500 nano-USD: exact, nine decimals. Pure. */
export function usdText(nanousd: bigint): string {
  const sign = nanousd < 0n ? '-' : '';
  const digits = (nanousd < 0n ? -nanousd : nanousd).toString().padStart(10, '0');
  return `${sign}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}
