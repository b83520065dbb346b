/** Secrets of chutes, as ciphertext. Nothing here can open them. */
import { and, asc, eq, gt, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { answerOf } from './rows.ts';
import { secrets } from './schema.ts';

/** A secret without what it holds. */
export interface SecretRecord {
  id: string;
  chuteId: string;
  /** `owner/name` of the chute. */
  purpose: string;
  kind: string;
  /** The variable, or the registry's host. */
  key: string;
  createdAt: Date;
  updatedAt: Date;
}

export interface NewSecret extends Omit<SecretRecord, 'createdAt' | 'updatedAt'> {
  accountId: string;
  sealed: unknown;
  /** What it takes of a grant. */
  bytes: number;
}

/** Secrets of this kind a chute may have, bytes of all its secrets, secrets of the account. */
export interface SecretBounds {
  most: number;
  mostBytes: number;
  mostOfAccount: number;
}

/** Sets it, in the place of one with the same key. Its id, which stays that of the first time; or the bound it would break. */
export async function setSecret(db: Database, secret: NewSecret, bounds: SecretBounds): Promise<string> {
  const { id, accountId, chuteId, purpose, kind, key, sealed, bytes } = secret;
  const { most, mostBytes, mostOfAccount } = bounds;
  return String(
    answerOf(
      await db.execute(sql`select set_secret(${id}, ${accountId}, ${chuteId}, ${purpose}, ${kind}, ${key}, ${JSON.stringify(sealed)}::jsonb,
        ${bytes}::int, ${most}::int, ${mostBytes}::int, ${mostOfAccount}::int)`),
    ),
  );
}

/** The chute it was of; null: the account has no such secret. */
export async function dropSecret(db: Database, id: string, accountId: string): Promise<string | null> {
  const chute = answerOf(await db.execute(sql`select drop_secret(${id}, ${accountId})`));
  return typeof chute === 'string' ? chute : null;
}

/** By id; at most `limit` after the id `after`; of one chute, or of all. */
export async function listSecrets(
  db: Database,
  accountId: string,
  { chuteId, after, limit }: { chuteId: string | null; after: string; limit: number },
): Promise<SecretRecord[]> {
  return db
    .select(columns)
    .from(secrets)
    .where(and(eq(secrets.accountId, accountId), gt(secrets.id, after), chuteId === null ? undefined : eq(secrets.chuteId, chuteId)))
    .orderBy(asc(secrets.id))
    .limit(limit);
}

export async function findSecret(db: Database, id: string, accountId: string): Promise<SecretRecord | null> {
  const [row] = await db
    .select(columns)
    .from(secrets)
    .where(and(eq(secrets.id, id), eq(secrets.accountId, accountId)));
  return row ?? null;
}

/** The same secret wrapped by another key, unless it was set anew meanwhile. */
export async function rewrapSecret(db: Database, id: string, { old, sealed }: { old: unknown; sealed: unknown }): Promise<void> {
  await db
    .update(secrets)
    .set({ sealed })
    .where(and(eq(secrets.id, id), sql`${secrets.sealed} = ${JSON.stringify(old)}::jsonb`));
}

const columns = {
  id: secrets.id,
  chuteId: secrets.chuteId,
  purpose: secrets.purpose,
  kind: secrets.kind,
  key: secrets.key,
  createdAt: secrets.createdAt,
  updatedAt: secrets.updatedAt,
};
