/**
 * Which instances are too many, and in what order they go: first those whose agent is away, which serve nobody; then old
 * versions; then those of the hotkey that has the most, so that owners stay diverse; of these the newest, since the
 * others have proven themselves. The same facts give the same order. All that serve go with notice.
 */
import type { BOUNDS } from './bounds.ts';
import { release } from './bounty.ts';
import { drain, forget, stop } from './instances.ts';
import { wanted } from './need.ts';
import { serves } from './state.ts';
import type { InstanceRow, Turn } from './state.ts';

/** Stops what the chute has too much of; `becameLive` means one of the current version just did for the first time. */
export function balance(turn: Turn, becameLive: boolean, bounds: typeof BOUNDS): void {
  const { state } = turn;
  const current = state.chute?.current;
  for (const row of state.instances.values()) {
    if (row.version === current || (row.state !== 'granted' && row.state !== 'starting')) continue;
    forget(turn, row);
    stop(turn, row, 'replaced', 0);
  }
  const live = [...state.instances.values()].filter((row) => row.state === 'live');
  const surplus = Math.max(0, live.length - wanted(turn));
  if (surplus === 0 && !becameLive) return;
  const order = removalOrder(live, current);
  const go = new Set(order.slice(0, surplus));
  // A live newcomer pays for one old instance, even where more are wanted than there are.
  const old = order.find((row) => serves(row) && row.version !== current);
  if (becameLive && old !== undefined && go.size === 0) go.add(old);
  for (const row of go) {
    release(turn, row, bounds);
    drain(turn, row, row.version === current ? 'scaled_down' : 'replaced', bounds);
  }
}

/** Which instance goes first, which then. */
export function removalOrder(rows: InstanceRow[], current: string | undefined): InstanceRow[] {
  const left = [...rows];
  const order: InstanceRow[] = [];
  while (left.length > 0) {
    const owned = new Map<string, number>();
    for (const { hotkey } of left) owned.set(hotkey, (owned.get(hotkey) ?? 0) + 1);
    const first = left.reduce((a, b) => (before(a, b, owned, current) <= 0 ? a : b));
    order.push(first);
    left.splice(left.indexOf(first), 1);
  }
  return order;
}

/** Negative: `a` goes before `b`. */
function before(a: InstanceRow, b: InstanceRow, owned: ReadonlyMap<string, number>, current: string | undefined): number {
  return (
    Number(a.goneAt === null) - Number(b.goneAt === null) ||
    Number(a.version === current) - Number(b.version === current) ||
    (owned.get(b.hotkey) ?? 0) - (owned.get(a.hotkey) ?? 0) ||
    (b.liveSince ?? 0) - (a.liveSince ?? 0) ||
    (a.instance < b.instance ? 1 : -1)
  );
}
