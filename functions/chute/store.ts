/** The rows of a Chute object in SQLite. Nothing is written, not even a table, before the chute exists. */
import type { Effect, RowKind, StoredRow } from './state.ts';
import type { ChunkFacts, LogChunk } from './logs.ts';

export class ChuteStore {
  readonly #sql: SqlStorage;
  #ready: boolean;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#ready = sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'rows'").toArray().length > 0;
  }

  rows(): StoredRow[] {
    if (!this.#ready) return [];
    const found = this.#sql.exec<{ kind: string; key: string; json: string }>('SELECT kind, key, json FROM rows').toArray();
    return found.map((row) => ({ kind: row.kind as RowKind, key: row.key, value: JSON.parse(row.json) }) as StoredRow);
  }

  put(row: Extract<Effect, { do: 'put' }>): void {
    this.#create();
    this.#sql.exec('INSERT OR REPLACE INTO rows (kind, key, json) VALUES (?, ?, ?)', row.kind, row.key, JSON.stringify(row.value));
  }

  delete(kind: RowKind, key: string): void {
    if (this.#ready) this.#sql.exec('DELETE FROM rows WHERE kind = ? AND key = ?', kind, key);
  }

  chunks(): ChunkFacts[] {
    if (!this.#ready) return [];
    return this.#sql
      .exec<{ id: number; instance: string; next: number; bytes: number }>('SELECT id, instance, next, bytes FROM logs ORDER BY id')
      .toArray();
  }

  /** Every kept chunk in the order it came. */
  *logs(): Generator<Pick<LogChunk, 'instance' | 'lines'>> {
    if (!this.#ready) return;
    for (const row of this.#sql.exec<{ instance: string; lines: string }>('SELECT instance, lines FROM logs ORDER BY id')) {
      yield { instance: row.instance, lines: JSON.parse(row.lines) };
    }
  }

  putChunk(chunk: LogChunk): void {
    this.#create();
    this.#sql.exec(
      'INSERT INTO logs (id, instance, next, bytes, lines) VALUES (?, ?, ?, ?, ?)',
      chunk.id,
      chunk.instance,
      chunk.next,
      chunk.bytes,
      JSON.stringify(chunk.lines),
    );
  }

  dropChunks(ids: number[]): void {
    if (this.#ready && ids.length > 0) this.#sql.exec('DELETE FROM logs WHERE id IN (SELECT value FROM json_each(?))', JSON.stringify(ids));
  }

  clearLogs(): void {
    if (this.#ready) this.#sql.exec('DELETE FROM logs');
  }

  #create(): void {
    if (this.#ready) return;
    this.#sql.exec('CREATE TABLE rows (kind TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID');
    this.#sql.exec(
      'CREATE TABLE logs (id INTEGER PRIMARY KEY, instance TEXT NOT NULL, next INTEGER NOT NULL, bytes INTEGER NOT NULL, lines TEXT NOT NULL)',
    );
    this.#ready = true;
  }
}
