/** Text for people: tables and times. What comes from others goes through `printable`. */
import { printable } from './io.ts';

/** Columns as wide as needed, two blanks between; those named in `right` are of numbers. Empty without rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], right: readonly string[] = []): string {
  const all = [head, ...rows.map((row) => row.map((cell) => printable(cell).replaceAll('\n', ' ')))];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => (right.includes(head[column] ?? '') ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A time of the API (ISO text or Unix milliseconds) as `2026-01-31 12:00:00Z`; `-` for none. */
export function showTime(at: string | number | null | undefined): string {
  if (at === null || at === undefined) return '-';
  const date = new Date(at);
  return Number.isNaN(date.getTime())
    ? '-'
    : date
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z/, 'Z');
}

/** Enough of a version to tell it from others. */
export function shortVersion(version: string | null | undefined): string {
  return version === null || version === undefined ? '-' : version.slice(0, 12);
}

/** Milliseconds as seconds; `-` for none. */
export function showSeconds(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? '-' : (ms / 1000).toFixed(ms < 10_000 ? 3 : 1);
}
