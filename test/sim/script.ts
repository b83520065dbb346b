/** What an engine is going to answer to one attempt, and what of it a client may see. */
import type { Random } from './random.ts';

export interface Script {
  status: number;
  headers: [string, string][];
  /** Milliseconds until the head, then each piece with the milliseconds before it. */
  headMs: number;
  pieces: { afterMs: number; bytes: Uint8Array }[];
  /** `refused`: no reply at all. `hang`: nothing more comes. */
  end: 'end' | 'break' | 'hang' | 'refused';
  /** The whole reply as the client must see it, by the rules of the wire and not by our code. */
  visible: string;
  events: boolean;
  /** Nothing of it is as a reply must be from this visible length on. */
  malformed: boolean;
}

export interface Wishes {
  attempt: string;
  template: 'openai' | 'http';
  stream: boolean;
}

const encoder = new TextEncoder();

export function plainScript(random: Random, wishes: Wishes): Script {
  if (!wishes.stream) return whole(random, wishes);
  const count = random.chance(0.05) ? random.int(40, 400) : random.int(1, 14);
  const large = count < 120 && random.chance(0.02);
  const chunks: string[] = [];
  let visible = '';
  for (let i = 0; i < count; i++) {
    const text = large ? `${i}`.padEnd(random.int(5_000, 30_000), 'é~') : `${i} `;
    const data = JSON.stringify({ id: wishes.attempt, choices: [{ delta: { content: text } }] });
    visible += `data: ${data}\n\n`;
    chunks.push(noisy(random, data));
  }
  if (random.chance(0.6)) {
    const data = JSON.stringify({ id: wishes.attempt, choices: [], usage: claim(random, count) });
    visible += `data: ${data}\n\n`;
    chunks.push(`data: ${data}\n\n`);
  }
  if (wishes.template === 'openai') {
    visible += 'data: [DONE]\n\n';
    chunks.push('data: [DONE]\n\n');
  }
  const headers: [string, string][] = [
    ['content-type', 'text/event-stream'],
    ['set-cookie', 'a=b'],
  ];
  const pieces = torn(random, encoder.encode(chunks.join('')), chunks.length, large);
  return { status: 200, headers, headMs: random.int(0, 200), pieces, end: 'end', visible, events: true, malformed: false };
}

function whole(random: Random, wishes: Wishes): Script {
  const size = random.chance(0.03) ? random.int(50_000, 400_000) : random.int(1, 300);
  const text = JSON.stringify({
    id: wishes.attempt,
    choices: [{ message: { content: 'x'.repeat(size) } }],
    ...(random.chance(0.1) ? {} : { usage: claim(random, size) }),
  });
  const headers: [string, string][] = [['content-type', 'application/json']];
  const pieces = torn(random, encoder.encode(text), random.int(1, 4), size > 50_000);
  return { status: 200, headers, headMs: random.int(0, 800), pieces, end: 'end', visible: text, events: false, malformed: false };
}

/** What the engine says it used: honest, or as much as ten times of it, or nothing but part of it. */
function claim(random: Random, tokens: number): Record<string, unknown> {
  const prompt_tokens = random.chance(0.8) ? random.int(0, 200) : random.int(200, 10_000);
  const completion_tokens = random.chance(0.8) ? tokens : tokens * 10;
  if (random.chance(0.1)) return { completion_tokens };
  if (random.chance(0.5)) return { prompt_tokens, completion_tokens };
  const cached_tokens = random.chance(0.8) ? random.int(0, prompt_tokens) : prompt_tokens * 2;
  return { prompt_tokens, completion_tokens, prompt_tokens_details: { cached_tokens } };
}

/** An event as engines write them: other line ends, comments, fields that are not passed on. */
function noisy(random: Random, data: string): string {
  const kind = random.int(0, 9);
  if (kind === 0) return `: ping\n\ndata: ${data}\n\n`;
  if (kind === 1) return `data: ${data}\r\n\r\n`;
  if (kind === 2) return `retry: 5\ndata:${data}\n\n`;
  return `data: ${data}\n\n`;
}

/** The same bytes, cut anywhere. */
function torn(random: Random, bytes: Uint8Array, about: number, large: boolean): { afterMs: number; bytes: Uint8Array }[] {
  const cuts = new Set<number>();
  for (let i = 1; i < about; i++) cuts.add(random.int(1, Math.max(1, bytes.byteLength - 1)));
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.byteLength];
  const slow = random.chance(0.15) ? 400 : 40;
  const pieces: { afterMs: number; bytes: Uint8Array }[] = [];
  for (let i = 0; i + 1 < at.length; i++) {
    const piece = bytes.subarray(at[i] ?? 0, at[i + 1] ?? 0);
    if (piece.byteLength > 0) pieces.push({ afterMs: random.int(0, large ? 5 : slow), bytes: piece });
  }
  return pieces;
}

export type Spoiling = 'unreachable' | 'broken' | 'malformed' | 'slow' | 'status';

/** The same reply, gone wrong. */
export function spoil(random: Random, script: Script, wishes: Wishes, how: Spoiling): Script {
  const keep = random.int(0, Math.max(0, script.pieces.length - 1));
  switch (how) {
    case 'unreachable':
      return { ...script, end: 'refused', pieces: [] };
    case 'broken':
      return { ...script, end: 'break', pieces: script.pieces.slice(0, keep) };
    case 'malformed': {
      // Only events of an OpenAI route have a form that is checked; any other program may say what it likes.
      if (!script.events || wishes.template !== 'openai') return { ...script, end: 'break', pieces: script.pieces.slice(0, keep) };
      const bad = encoder.encode('\n\ndata: {not json\n\n');
      const pieces = [...script.pieces.slice(0, keep), { afterMs: 1, bytes: bad }, ...script.pieces.slice(keep)];
      return { ...script, pieces, malformed: true };
    }
    case 'slow': {
      const pieces = script.pieces.map((p, i) => (i === keep ? { ...p, afterMs: random.int(2_000, 40_000) } : p));
      return random.chance(0.4) ? { ...script, end: 'hang', pieces: pieces.slice(0, keep) } : { ...script, pieces };
    }
    case 'status': {
      const text = JSON.stringify({ error: { message: 'overloaded' } });
      return {
        ...script,
        status: random.pick([429, 500, 503]),
        headers: [['content-type', 'application/json']],
        pieces: [{ afterMs: 1, bytes: encoder.encode(text) }],
        visible: text,
        events: false,
        malformed: false,
      };
    }
  }
}
