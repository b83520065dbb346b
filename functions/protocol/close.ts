/** WebSocket close codes of the agent socket, and what an agent does about each. */
export const CLOSE = {
  /** Normal end: the agent drained. */
  done: 1000,
  /** A newer session of the same agent took over; do not reconnect. */
  superseded: 4001,
  /** A frame or message broke the protocol; reconnect after the longest delay. */
  protocol: 4002,
  /** A limit of `LIMITS` was broken; reconnect after the longest delay. */
  limit: 4003,
  /** The edge speaks no version this agent speaks; update the agent. */
  version: 4004,
  /** The session key expired; log in again at once. */
  expired: 4005,
  /** The edge asks the agent to reconnect elsewhere or later (`goaway` said when). */
  goaway: 4006,
} as const;

export type CloseCode = (typeof CLOSE)[keyof typeof CLOSE];

/** What an agent does after a close: `stop` for good, reconnect `slow` (longest delay) or at the usual pace. */
export function afterClose(code: number): 'stop' | 'slow' | 'reconnect' {
  if (code === CLOSE.superseded || code === CLOSE.version) return 'stop';
  if (code === CLOSE.protocol || code === CLOSE.limit) return 'slow';
  return 'reconnect';
}
