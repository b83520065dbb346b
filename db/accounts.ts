import { eq, or } from 'drizzle-orm';
import type { Database } from './client.ts';
import { accounts } from './schema.ts';

export interface AccountRecord {
  id: string;
  hotkey: string;
  handle: string;
}

/**
 * Registers an account. `made`: it is new; `same`: this hotkey and handle were registered before; `taken`: either of
 * them belongs to something else, which is returned.
 */
export async function insertAccount(db: Database, account: AccountRecord): Promise<{ kind: 'made' | 'same' | 'taken'; by: AccountRecord }> {
  const made = await db.insert(accounts).values(account).onConflictDoNothing().returning();
  if (made.length > 0) return { kind: 'made', by: account };
  const found = await db
    .select()
    .from(accounts)
    .where(or(eq(accounts.hotkey, account.hotkey), eq(accounts.handle, account.handle)));
  const own = found.find((a) => a.hotkey === account.hotkey) ?? found[0] ?? account;
  return { kind: own.hotkey === account.hotkey && own.handle === account.handle ? 'same' : 'taken', by: own };
}

export async function findAccountByHotkey(db: Database, hotkey: string): Promise<AccountRecord | null> {
  const [row] = await db.select().from(accounts).where(eq(accounts.hotkey, hotkey));
  return row ?? null;
}

export async function findAccountByHandle(db: Database, handle: string): Promise<AccountRecord | null> {
  const [row] = await db.select().from(accounts).where(eq(accounts.handle, handle));
  return row ?? null;
}

export async function findAccount(db: Database, id: string): Promise<AccountRecord | null> {
  const [row] = await db.select().from(accounts).where(eq(accounts.id, id));
  return row ?? null;
}
