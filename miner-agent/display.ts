/** What the operator sees: a table on a terminal, plain lines elsewhere, NDJSON with `--json`. */
import type { InstanceState } from '#protocol';
import type { ChallengeNews } from './prover/challenges.ts';

export type AgentEvent =
  | { event: 'start'; hotkey: string; name: string; api: string }
  | { event: 'link'; state: 'dialling' | 'up' | 'down'; detail: string }
  | { event: 'market'; detail: string }
  | { event: 'skip' | 'refusal' | 'claim'; chute: string; reason: string }
  | { event: 'instance'; id: string; name: string; state: InstanceState; detail: string; slots: number; since: number }
  | { event: 'served'; instance: string; outcome: 'completed' | 'cancelled' | 'failed'; bytes: number; tokensOut: number | null }
  | { event: 'log'; instance: string; source: 'out' | 'err' | 'agent'; text: string }
  | { event: 'reaped'; instance: string }
  | ChallengeNews
  | { event: 'control'; detail: string }
  /** Something the operator should see to; the agent goes on. */
  | { event: 'notice'; detail: string }
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

const NEWS = 6;
const REDRAW_MS = 1_000;

export interface LiveView {
  write: Write;
  columns: () => number;
  rows: () => number;
  /** Everything but the news; empty while there is nothing to show. */
  lines: (news: readonly string[]) => string[];
  now?: () => number;
}

/** A screen drawn over itself each second, with the last pieces of news; never larger than the terminal. */
export function liveDisplay({ write, columns, rows, lines, now = Date.now }: LiveView): Display {
  const news: string[] = [];
  let drawn: string[] = [];

  function tell(event: AgentEvent): void {
    const line = event.event === 'instance' && event.state === 'starting' ? null : lineOf(event);
    if (line !== null) news.push(`${clock(now())} ${line}`);
    if (news.length > NEWS) news.shift();
  }

  function draw(): void {
    const next = fitted(lines(news), columns(), rows());
    if (next.join('\n') === drawn.join('\n')) return;
    write(`${drawn.length === 0 ? '' : `\x1b[${drawn.length}A`}\x1b[J${next.join('\n')}\n`);
    drawn = next;
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

/** What the terminal has room for; styles do not count. */
function fitted(lines: readonly string[], columns: number, rows: number): string[] {
  return lines.slice(0, Math.max(4, rows - 1)).map((line) => cut(line, Math.max(20, columns - 1)));
}

function cut(line: string, width: number): string {
  let left = width;
  // oxlint-disable-next-line no-control-regex -- the start of a style is a control character
  const shown = line.split(/(\x1b\[\d+m)/).map((part, at) => {
    if (at % 2 === 1) return part;
    const kept = part.slice(0, left);
    left -= kept.length;
    return kept;
  });
  return shown.join('');
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
    case 'notice':
      return `note: ${printable(event.detail)}`;
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
    case 'challenge':
      // Those that go well come every few hours and are no news.
      return event.state === 'declined' || event.state === 'failed'
        ? `challenge ${event.kind} of ${printable(event.of)}: ${event.state}, ${printable(event.detail)}`
        : null;
    case 'control':
      return `ripcord-miner status cannot reach this agent: ${printable(event.detail)}`;
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
