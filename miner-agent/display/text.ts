/** Small words for people: how long, how much, how many. Pure. */

/** `3 s`, `12 min`, `4 h 05 min`, `3 d 2 h`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** USD with as many digits as say something: `$0.42`, `$0.0031`, `$0`. */
export function dollars(usd: number): string {
  if (usd === 0) return '$0';
  const sign = usd < 0 ? '-' : '';
  const size = Math.abs(usd);
  if (size >= 0.1) return `${sign}$${size.toFixed(2)}`;
  const digits = Math.min(9, 1 - Math.floor(Math.log10(size)));
  return `${sign}$${size.toFixed(digits).replace(/0+$/, '').replace(/\.$/, '')}`;
}

export function dollarsOfNano(nanousd: bigint | string): string {
  return dollars(Number(BigInt(nanousd)) / 1e9);
}

/** MiB as `512 MB` or `80 GB`. */
export function memory(mb: number): string {
  return mb < 1024 ? `${mb} MB` : `${Math.round(mb / 1024).toLocaleString('en-US')} GB`;
}

export function many(count: number, one: string): string {
  return `${count.toLocaleString('en-US')} ${one}${count === 1 ? '' : 's'}`;
}
