/**
 * Is this instance the model it says it is? It and a referee of another entity are asked the same, question after question, until
 * Wald's test is decided. Another model is called so only when two more referees of other entities say so too.
 */
import type { CanaryAsk } from './ask.ts';
import { compare } from './compare.ts';
import { REFEREES, type Referee } from './referees.ts';
import type { Token } from './reply.ts';
import { follow, type Places, type Sprt } from './sprt.ts';

/** Questions of one comparison. */
export const MOST_ASKS = 24;

/** Asks one instance; null: it did not answer. */
export type Asker = (who: 'suspect' | Referee, ask: CanaryAsk) => Promise<readonly Token[] | null>;

export interface Duel extends Places {
  /** Of the referee. */
  instance: string;
  end: Sprt;
}

export interface Session {
  /** `swapped`: confirmed. `unconfirmed`: they differ, and who is wrong is not known. `silent`: somebody did not answer. */
  end: 'same' | 'swapped' | 'unconfirmed' | 'undecided' | 'silent';
  duels: Duel[];
}

export async function session(ask: Asker, referees: readonly Referee[], asks: readonly (readonly CanaryAsk[])[]): Promise<Session> {
  const duels: Duel[] = [];
  for (const [at, referee] of referees.entries()) {
    const fought = await duel(ask, referee, asks[at] ?? []);
    duels.push(fought);
    if (fought.end === 'other') continue;
    if (at > 0) return { end: 'unconfirmed', duels };
    return { end: fought.end === 'open' ? 'silent' : fought.end, duels };
  }
  return { end: duels.length === REFEREES ? 'swapped' : duels.length === 0 ? 'silent' : 'unconfirmed', duels };
}

async function duel(ask: Asker, referee: Referee, asks: readonly CanaryAsk[]): Promise<Duel> {
  let counts: Places = { compared: 0, differ: 0 };
  for (const question of asks.slice(0, MOST_ASKS)) {
    const [mine, theirs] = await Promise.all([ask('suspect', question), ask(referee, question)]);
    const places = mine === null || theirs === null ? null : compare(mine, theirs);
    if (places === null) return { instance: referee.instance.instance, ...counts, end: 'open' };
    const { counts: now, sprt } = follow(counts, places);
    counts = now;
    if (sprt !== 'open') return { instance: referee.instance.instance, ...counts, end: sprt };
  }
  return { instance: referee.instance.instance, ...counts, end: 'undecided' };
}
