/** Text for people: tables and times. What comes from others goes through `printable`. */
import { printable } from './io.ts';

/** Columns as wide as needed, two blanks between; empty without rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows.map((row) => row.map((cell) => printable(cell).replaceAll('\n', ' ')))];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
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
