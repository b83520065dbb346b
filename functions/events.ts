/** One line per business event. Ids and codes only: never a prompt, an answer, a key, or a miner's text. */
export type EventName =
  | 'agent_closed'
  | 'agent_login'
  | 'ask_failed'
  | 'call_failed'
  | 'errand_failed'
  | 'internal_error'
  | 'usage_quarantined';

export function event(name: EventName, fields: Record<string, string | number | boolean>): void {
  console.log(JSON.stringify({ event: name, ...fields }));
}
