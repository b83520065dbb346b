/** What the connection itself shows to be wrong: a clock that differs, sessions that do not live, an old agent. Pure: times are arguments. */
import type { Welcome, WhyCode, WhyReason } from '#protocol';

/** Milliseconds that clocks may differ: signed requests are good for as long. */
const CLOCK_MS = 30_000;
/** So many sessions lost within the window, and something on the way cuts them. */
const CUTS = 3;
const WINDOW_MS = 600_000;
/** Milliseconds before a version is served no more, from when on the operator is told each time. */
const SOON_MS = 30 * 86_400_000;

export class Troubles {
  #clock = false;
  #old = false;
  /** Unix milliseconds of sessions that were lost after they had begun. */
  #cuts: number[] = [];
  #up = false;

  /** Lines for the operator. */
  welcomed({ now: edge, newest, servedUntil }: Welcome, agentVersion: string, now: number): string[] {
    this.#up = true;
    const off = Math.round((now - edge) / 1000);
    this.#clock = Math.abs(now - edge) > CLOCK_MS;
    this.#old = servedUntil !== undefined && servedUntil - now < SOON_MS;
    return [
      ...(this.#clock
        ? [`this clock is ${Math.abs(off)} s ${off < 0 ? 'behind' : 'ahead of'} the edge's; set it: timedatectl set-ntp true`]
        : []),
      ...(servedUntil === undefined
        ? []
        : [`this agent speaks an old version of the protocol, served until ${day(servedUntil)}; update it`]),
      ...(newest !== undefined && isOlder(agentVersion, newest) ? [`there is a newer agent: ${newest} (this is ${agentVersion})`] : []),
    ];
  }

  /** The session is over. `asked`: the edge said goaway, or this agent leaves. */
  lost(asked: boolean, now: number): void {
    if (this.#up && !asked) this.#cuts = [...this.#cuts, now].slice(-CUTS);
    this.#up = false;
  }

  reasons(now: number): WhyReason[] {
    const cuts = this.#cuts.filter((at) => now - at < WINDOW_MS);
    const codes: WhyCode[] = [
      ...(this.#old ? (['old_version'] as const) : []),
      ...(this.#clock ? (['wrong_clock'] as const) : []),
      ...(cuts.length >= CUTS ? (['socket_cut'] as const) : []),
    ];
    return codes.map((code) => ({ code, count: code === 'socket_cut' ? cuts.length : 1, chutes: [] }));
  }
}

/** By dotted numbers; what cannot be compared is not older. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((v) => v.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const [x = 0, y = 0] = [a?.[i], b?.[i]];
    if (x !== y) return x < y;
  }
  return false;
}

function day(at: number): string {
  // The first moment it is served no more is the end of the day before.
  const days = Math.floor((at - 1) / 86_400_000);
  return new Date(days * 86_400_000).toISOString().slice(0, 10);
}
