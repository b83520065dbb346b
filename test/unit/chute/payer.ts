/** Who pays for a chute in its tests. */
import type { RentRow } from '../../../functions/chute/state.ts';
import type { World } from './world.ts';

export type How = 'answered' | 'lost before' | 'lost after';

/** The owner's account as the chute knows it: it holds a period once and takes what it came to once. */
export class Payer {
  readonly world: World;
  poor = false;
  /** Periods by key, and what they came to; null: held. */
  readonly periods = new Map<string, RentRow | null>();
  readonly refused: RentRow[] = [];

  constructor(world: World) {
    this.world = world;
  }

  /** Answers everything the chute has asked until it asks no more at this moment. */
  answer(how: () => How = () => 'answered'): void {
    const { world } = this;
    for (let round = 0; round < 50; round++) {
      const all = [...world.take('rent'), ...world.take('settle')];
      if (all.length === 0) return;
      // What was said again and again counts once, or no answer would ever be lost.
      const asked = new Map(all.map((effect) => [`${effect.do} ${effect.key}`, effect]));
      for (const { do: what, key, rent } of asked.values()) {
        const way = how();
        const said = way === 'lost before' ? null : what === 'rent' ? this.#hold(key, rent) : this.#settle(key, rent);
        const heard = way === 'answered' ? said : null;
        if (what === 'rent') world.do(world.core.rentAnswered(key, heard, world.now));
        else world.do(world.core.rentSettled(key, heard === true, world.now));
      }
    }
    throw new Error('the chute never rests');
  }

  /** Nano-USD of bounties by instance: paid, or given back. */
  bounties(): Record<string, number> {
    const settled = [...this.periods.values()].filter((row) => row !== null).filter((row) => row.bounty === true);
    return Object.fromEntries(settled.map((row) => [row.instance, row.end === row.start ? 0 : row.terms.price.per_request]));
  }

  #hold(key: string, rent: RentRow): boolean {
    if (this.periods.has(key)) return true;
    if (this.poor) {
      this.refused.push(rent);
      return false;
    }
    this.periods.set(key, null);
    return true;
  }

  #settle(key: string, rent: RentRow): boolean {
    const held = this.periods.get(key);
    if (held === undefined) throw new Error(`${key} was never held`);
    if (rent.end === null) throw new Error(`${key} has not ended`);
    if (held !== null && held.end !== rent.end) throw new Error(`${key} came to two things`);
    this.periods.set(key, rent);
    return true;
  }

  /** Milliseconds paid per instance; throws where periods of one overlap. */
  paid(): Record<string, number> {
    const sums: Record<string, number> = {};
    const ends: Record<string, number> = {};
    const settled = [...this.periods.values()].filter((row) => row !== null && row.instance !== '' && row.bounty !== true) as RentRow[];
    for (const { instance, start, end } of settled.toSorted((a, b) => a.start - b.start)) {
      if (start < (ends[instance] ?? 0)) throw new Error(`${instance} is paid twice at ${start}`);
      ends[instance] = end ?? start;
      sums[instance] = (sums[instance] ?? 0) + (end ?? start) - start;
    }
    return sums;
  }
}
