/**
 * Agents with an open socket in this isolate. On one machine the isolate is the whole edge, and each agent costs it file
 * descriptors: `MAX_AGENTS` is where it stops before they run out. On Cloudflare nothing needs to be set.
 */
const present = new Map<string, number>();
/** Milliseconds after which a socket that was never seen to close is forgotten; no session key lives longer. */
const FORGET_MS = 25 * 3_600_000;

export function arrived(agent: string, now: number): void {
  present.set(agent, now);
}

export function left(agent: string): void {
  present.delete(agent);
}

/** Whether one more agent may come; one that is here already may always come again. */
export function mayCome(agent: string, limit: number, now: number): boolean {
  if (present.size < limit || present.has(agent)) return true;
  for (const [one, since] of present) if (now - since > FORGET_MS) present.delete(one);
  return present.size < limit;
}
