/** The rows of a Miner object in SQLite. Nothing is written, not even a table, before an agent logged in. */
import type { Row } from './rows.ts';

export class MinerStore {
  private readonly sql: SqlStorage;
  private ready: boolean;

  constructor(sql: SqlStorage) {
    this.sql = sql;
    this.ready = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'rows'").toArray().length > 0;
  }

  rows(): Row[] {
    if (!this.ready) return [];
    const found = this.sql.exec<{ json: string }>('SELECT json FROM rows').toArray();
    return found.map((row) => JSON.parse(row.json) as Row);
  }

  put(row: Row): void {
    if (!this.ready) {
      this.sql.exec('CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID');
      this.ready = true;
    }
    this.sql.exec('INSERT OR REPLACE INTO rows (key, json) VALUES (?, ?)', row.key, JSON.stringify(row));
  }

  delete(keys: readonly string[]): void {
    if (!this.ready || keys.length === 0) return;
    this.sql.exec('DELETE FROM rows WHERE key IN (SELECT value FROM json_each(?))', JSON.stringify(keys));
  }
}
