/** What is attached to a chute is on record in Postgres first; then the Chute is told all of it, as Postgres has it. */
import * as db from '#db';
import { insist } from '../calls/insist.ts';
import type { Env } from '../env.ts';
import type { Attached } from '../secrets/attached.ts';
import { rewrap, sealedSchema, secretKind } from '../secrets/envelope.ts';
import type { SecretRow } from '../secrets/grant.ts';
import { ringOf, type Ring } from '../secrets/ring.ts';
import { chuteStub } from '../stubs.ts';
import { recorded } from './chute-access.ts';

/** All of it; a secret under an older key of the ring is wrapped anew on the way. */
export async function attachedOnRecord(env: Env, chute: string): Promise<Attached> {
  return recorded(async (base) => {
    const { revision, secrets, shared } = await db.findAttached(base, chute);
    const ring = await ringOf(env);
    return { revision, shared, secrets: await Promise.all(secrets.map((row) => underNewest(base, ring, chute, row))) };
  }, env);
}

const PATIENCE = { sleep: (ms: number) => scheduler.wait(ms) };

/**
 * After every change, and insists: what was deleted must not be handed on because an object was just torn down. A chute that
 * is not deployed yet is told by its deploy. Throws `unavailable`; then the next change or deploy tells it.
 */
export async function tellAttached(env: Env, chute: string): Promise<void> {
  await insist(PATIENCE, async () => chuteStub(env, chute).attach(await attachedOnRecord(env, chute)));
}

async function underNewest(
  base: db.Database,
  ring: Ring,
  chute: string,
  { id, accountId, ...row }: db.AttachedRecord['secrets'][number],
): Promise<SecretRow> {
  const { key } = row;
  const kind = secretKind.parse(row.kind);
  const sealed = sealedSchema.parse(row.sealed);
  // One that no key opens any more is told as it is: setting others must still be possible.
  const fresh = await rewrap(ring, { owner: accountId, chute, kind, key }, sealed).catch(() => null);
  if (fresh !== null) await db.rewrapSecret(base, id, { old: sealed, sealed: fresh });
  return { kind, key, sealed: fresh ?? sealed };
}
