/** What the operator sees: a table on a terminal, plain lines elsewhere, NDJSON with `--json`. */
import type { InstanceState } from '#protocol';

export type AgentEvent =
  | { event: 'start'; hotkey: string; name: string; api: string }
  | { event: 'link'; state: 'dialling' | 'up' | 'down'; detail: string }
  | { event: 'market'; detail: string }
  | { event: 'skip' | 'refusal' | 'claim'; chute: string; reason: string }
  | { event: 'instance'; id: string; name: string; state: InstanceState; detail: string; slots: number; since: number }
  | { event: 'served'; instance: string; outcome: 'completed' | 'cancelled' | 'failed'; bytes: number; tokensOut: number | null }
  | { event: 'log'; instance: string; source: 'out' | 'err' | 'agent'; text: string }
  | { event: 'reaped'; instance: string }
  | { event: 'drain'; instances: number; withinMs: number }
  | { event: 'left' };

export interface Display {
  tell: (event: AgentEvent) => void;
  close: () => void;
}

type Write = (text: string) => void;

/** One JSON object a line; program output included. */
export function jsonDisplay(write: Write, now: () => number = Date.now): Display {
  return {
    tell: (event) => write(`${JSON.stringify({ at: now(), ...event })}\n`),
    close: () => {},
  };
}

/** One line per piece of news; calls are not news. */
export function plainDisplay(write: Write, now: () => number = Date.now): Display {
  const told = new Map<string, string>();
  return {
    tell: (event) => {
      const line = lineOf(event);
      if (line === null) return;
      if (event.event === 'instance') {
        if (told.get(event.id) === line) return;
        told.set(event.id, line);
        if (isOver(event.state)) told.delete(event.id);
      }
      write(`${clock(now())} ${line}\n`);
    },
    close: () => {},
  };
}

interface Row {
  id: string;
  name: string;
  state: InstanceState;
  detail: string;
  slots: number;
  calls: number;
  tokens: number;
}

const NEWS = 8;
const REDRAW_MS = 250;

/** A table of instances and the last pieces of news, drawn over itself. */
export function tableDisplay(write: Write, columns: () => number, now: () => number = Date.now): Display {
  const rows = new Map<string, Row>();
  const news: string[] = [];
  let title = '';
  let link = '';
  let drawn = 0;
  let changed = true;

  function tell(event: AgentEvent): void {
    changed = true;
    if (event.event === 'start') title = `${event.name}  ${event.hotkey}`;
    if (event.event === 'link') link = `${event.state} ${event.detail}`;
    if (event.event === 'instance') {
      const row = rows.get(event.id) ?? { ...event, calls: 0, tokens: 0 };
      if (isOver(event.state)) rows.delete(event.id);
      else rows.set(event.id, Object.assign(row, { state: event.state, detail: event.detail }));
    }
    if (event.event === 'served') count(rows.get(event.instance), event.tokensOut);
    const line = event.event === 'instance' && event.state === 'starting' ? null : lineOf(event);
    if (line !== null) news.push(`${clock(now())} ${line}`);
    if (news.length > NEWS) news.shift();
  }

  function draw(): void {
    if (!changed) return;
    changed = false;
    const lines = [`ripcord-miner  ${title}`, link, '', tableLine('chute', 'instance', 'state', 'slots', 'calls', 'tokens', '')];
    for (const r of rows.values())
      lines.push(tableLine(r.name, r.id.slice(0, 12), r.state, String(r.slots), String(r.calls), String(r.tokens), r.detail));
    if (rows.size === 0) lines.push('no instances yet');
    lines.push('', ...news);
    const fitted = lines.map((line) => line.slice(0, Math.max(20, columns() - 1)));
    write(`${drawn === 0 ? '' : `\x1b[${drawn}A`}\x1b[J${fitted.join('\n')}\n`);
    drawn = fitted.length;
  }

  const timer = setInterval(draw, REDRAW_MS);
  timer.unref();
  return {
    tell,
    close: () => {
      clearInterval(timer);
      draw();
    },
  };
}

function count(row: Row | undefined, tokens: number | null): void {
  if (row === undefined) return;
  row.calls++;
  row.tokens += tokens ?? 0;
}

function tableLine(name: string, id: string, state: string, slots: string, calls: string, tokens: string, detail: string): string {
  return `${name.padEnd(24)} ${id.padEnd(13)} ${state.padEnd(9)} ${slots.padStart(5)} ${calls.padStart(7)} ${tokens.padStart(9)}  ${detail}`;
}

/** Null for what is not worth a line. Text of others is made printable: it must not move the cursor. */
function lineOf(event: AgentEvent): string | null {
  switch (event.event) {
    case 'start':
      return `hotkey ${event.hotkey}, agent ${event.name}, edge ${event.api}`;
    case 'link':
      return event.state === 'up'
        ? `connected to ${printable(event.detail)}`
        : event.state === 'down'
          ? `not connected: ${printable(event.detail)}`
          : null;
    case 'market':
      return `market: ${printable(event.detail)}`;
    case 'skip':
      return `${event.chute}: not taken, ${printable(event.reason)}`;
    case 'claim':
      return `${event.chute}: claimed (${printable(event.reason)})`;
    case 'refusal':
      return `${event.chute}: not granted (${event.reason})`;
    case 'instance':
      return `${event.name} ${event.id}: ${event.state} ${printable(event.detail)}`;
    case 'log':
      return event.source === 'agent' ? `${event.instance}: ${printable(event.text)}` : null;
    case 'reaped':
      return `${event.instance}: left by an agent that crashed, ended`;
    case 'drain':
      return `leaving: ${event.instances} instances end within ${Math.round(event.withinMs / 1000)} s`;
    case 'left':
      return 'left';
    case 'served':
      return null;
  }
}

function isOver(state: InstanceState): boolean {
  return state === 'failed' || state === 'stopped';
}

function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, ' ').slice(0, 300);
}
