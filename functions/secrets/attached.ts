/** What an owner attaches to a chute besides versions and prices; Postgres has it, the Chute object is told. */
import type { SecretRow } from './grant.ts';

export interface Attached {
  /** Grows with every change; of two states that are told, the one with the higher revision holds. */
  revision: number;
  /** Sealed. */
  secrets: SecretRow[];
  /** Accounts it is shared with. */
  shared: string[];
}

export const NOTHING_ATTACHED: Attached = { revision: 0, secrets: [], shared: [] };
