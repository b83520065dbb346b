import { expect, test } from 'vitest';
import { BOUNDS } from '../../../functions/chute/bounds.ts';
import { LogBook } from '../../../functions/chute/logs.ts';
import type { Appended, LogChunk } from '../../../functions/chute/logs.ts';

const lines = (...texts: string[]) => texts.map((text) => ({ at: 1, source: 'out' as const, text }));

/** The rows a book's answers leave. */
class Rows {
  readonly kept = new Map<number, LogChunk>();
  apply(appended: Appended): void {
    for (const chunk of appended.put) this.kept.set(chunk.id, chunk);
    for (const id of appended.drop) this.kept.delete(id);
  }
  texts(instance: string): string[] {
    return [...this.kept.values()].filter((chunk) => chunk.instance === instance).flatMap((chunk) => chunk.lines.map((line) => line.text));
  }
}

test('repeats are dropped, gaps are told, and a book built from its rows goes on where it was', () => {
  const rows = new Rows();
  const book = new LogBook([], BOUNDS);
  rows.apply(book.append('i', 0, lines('a', 'b')));
  rows.apply(book.append('i', 1, lines('b', 'c')));
  rows.apply(book.note('i', 1, 'start failed'));
  rows.apply(book.append('i', 7, lines('h')));
  const again = new LogBook(rows.kept.values(), BOUNDS);
  expect(again.append('i', 7, lines('h')).put).toEqual([]);
  rows.apply(again.append('i', 8, lines('i')));
  expect(rows.texts('i')).toEqual(['a', 'b', 'c', 'start failed', '4 lines were lost on the way here', 'h', 'i']);
});

test('bytes per instance are bounded, the newest stay', () => {
  const rows = new Rows();
  const book = new LogBook([], BOUNDS);
  for (let seq = 0; seq < 400; seq++) rows.apply(book.append('i', seq, lines(`${seq} ${'x'.repeat(4000)}`)));
  const kept = [...rows.kept.values()];
  expect(kept.reduce((sum, chunk) => sum + chunk.bytes, 0)).toBeLessThanOrEqual(BOUNDS.logBytes);
  expect(kept.every((chunk) => chunk.bytes <= BOUNDS.logChunkBytes)).toBe(true);
  expect(rows.texts('i').at(-1)).toMatch(/^399 /);
});

test('many short lines are bounded too, and one big message is split', () => {
  const rows = new Rows();
  const book = new LogBook([], BOUNDS);
  for (let seq = 0; seq < 2000; seq++) rows.apply(book.append('i', seq, lines('x')));
  expect(rows.kept.size).toBeLessThanOrEqual(BOUNDS.logChunks);
  const big = book.append('j', 0, lines(...Array.from({ length: 100 }, () => 'y'.repeat(8000))));
  expect(big.put.length).toBeGreaterThan(1);
  expect(big.put.at(-1)?.next).toBe(100);
});

test('the logs of the last instances are kept, the one silent longest goes', () => {
  const rows = new Rows();
  const book = new LogBook([], BOUNDS);
  for (let k = 0; k <= BOUNDS.logInstances; k++) {
    rows.apply(book.append(`i${k}`, 0, lines('start')));
    rows.apply(book.append('i0', k, lines('still here')));
  }
  expect(rows.texts('i0').length).toBeGreaterThan(1);
  expect(rows.texts('i1')).toEqual([]);
  expect(rows.texts('i2')).toEqual(['start']);
});
