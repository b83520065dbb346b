/** Microseconds of the machine's monotonic clock: comparable between processes, never set back. */
const OFFSET = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000;

export function micros(): number {
  return performance.now() * 1000 + OFFSET;
}
