/** What must become of the money of an account whose calls have one attempt each. No lease, no rows, no outbox. */
export class Model {
  /** All that ever came in. */
  total: bigint;
  readonly open = new Map<string, bigint>();
  readonly closed = new Map<string, bigint>();
  /** Calls whose lease an operator took back before they were billed: nobody pays them. */
  readonly lost = new Set<string>();

  constructor(total: bigint) {
    this.total = total;
  }

  get held(): bigint {
    return sum(this.open.values());
  }

  get left(): bigint {
    const paid = [...this.open, ...this.closed].filter(([call]) => !this.lost.has(call));
    return this.total - sum(paid.map(([, amount]) => amount));
  }

  opened(call: string, hold: bigint): void {
    if (this.open.has(call) || this.closed.has(call)) throw new Error(`${call} was opened twice`);
    this.open.set(call, hold);
    if (this.left < 0n) throw new Error('more is held than there is');
  }

  extended(call: string, hold: bigint): void {
    if (hold < (this.open.get(call) ?? 0n)) throw new Error(`the hold of ${call} shrank`);
    this.open.set(call, hold);
    if (this.left < 0n) throw new Error('more is held than there is');
  }

  /** The first word about a call is the last. */
  settled(call: string, charge: bigint): void {
    const hold = this.open.get(call);
    if (hold === undefined) return;
    this.open.delete(call);
    this.closed.set(call, charge < hold ? charge : hold);
  }
}

function sum(amounts: Iterable<bigint>): bigint {
  let all = 0n;
  for (const amount of amounts) all += amount;
  return all;
}
