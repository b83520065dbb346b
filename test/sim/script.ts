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
  /** Where the reply may end early, and what it comes to there: after no event, after the first, after the second … */
  marks: Mark[];
  /** Nothing of it is as a reply must be from this visible length on. */
  malformed: boolean;
}

/** What a reply has told up to here. */
export interface Mark {
  /** Bytes of what the client sees up to here; the same as text. */
  bytes: number;
  chars: number;
  /** Bytes of generated text up to here. */
  text: number;
  tokensIn: number;
  cachedIn: number;
  tokensOut: number;
  /** What the client sees from here on if its credit ends after so many tokens. */
  end: (paid: number) => string;
}

export type Told = Pick<Mark, 'tokensIn' | 'cachedIn' | 'tokensOut'>;

const NO_END = (): string => '';

export interface Wishes {
  attempt: string;
  call: string;
  template: 'openai' | 'http';
  stream: boolean;
  /** Whether the client wants to see the usage of its stream; an event of nothing else is kept from it if it does not. */
  usage: boolean;
  requestBytes: number;
  /** Unix milliseconds of the dispatch. */
  startedAt: number;
  /** Nano-USD that the reply says it costs so far; null: it says nothing. */
  cost: (told: Told) => string | null;
}

interface Claim extends Record<string, unknown> {
  prompt_tokens?: number;
  completion_tokens?: number;
  prompt_tokens_details?: { cached_tokens: number };
}

export const MODEL = 'demo/chat';
const DONE = 'data: [DONE]\n\n';

const encoder = new TextEncoder();

export function plainScript(random: Random, wishes: Wishes): Script {
  if (!wishes.stream) return whole(random, wishes);
  const count = random.chance(0.05) ? random.int(40, 120) : random.int(1, 14);
  const large = random.chance(0.02);
  const long = !large && wishes.template === 'openai' && random.chance(0.2);
  const reply = new Reply(wishes);
  let tokens = 0;
  for (let i = 0; i < count; i++) {
    const text = large ? `${i}`.padEnd(random.int(5_000, 30_000), 'é~') : long ? `${i}`.padEnd(random.int(100, 1_500), '.') : `${i} `;
    tokens += long ? text.length : 1;
    // Some engines tell with every piece what it came to so far.
    reply.say(random, { choices: [{ delta: { content: text } }], ...(long ? { usage: { completion_tokens: tokens } } : {}) });
  }
  if (random.chance(0.6)) reply.say(random, { choices: [], usage: claim(random, tokens) });
  if (wishes.template === 'openai') reply.done();
  const headers: [string, string][] = [
    ['content-type', 'text/event-stream'],
    ['set-cookie', 'a=b'],
  ];
  const pieces = torn(random, encoder.encode(reply.said), reply.marks.length - 1, large);
  const { visible, marks } = reply;
  return { status: 200, headers, headMs: random.int(0, 200), pieces, end: 'end', visible, marks, events: true, malformed: false };
}

/** A stream of events as the engine says it and as its client sees it, and what it comes to after each of them. */
class Reply {
  said = '';
  visible = '';
  readonly marks: Mark[] = [];
  private readonly wishes: Wishes;
  private claimed: Record<string, unknown>[] = [];
  private events = 0;
  private text = 0;

  constructor(wishes: Wishes) {
    this.wishes = wishes;
    this.mark();
  }

  say(random: Random, object: { choices: { delta: { content: string } }[]; usage?: Record<string, unknown> }): void {
    const { attempt, template, cost } = this.wishes;
    const data = JSON.stringify({ id: attempt, ...object });
    this.said += noisy(random, data);
    if (template === 'http') return this.show(`data: ${data}\n\n`);
    const bytes = object.choices.reduce((sum, { delta }) => sum + encoder.encode(delta.content).byteLength, 0);
    this.text += bytes;
    if (bytes > 0) this.events++;
    if (object.usage === undefined) return this.show(`data: ${data}\n\n`);
    this.claimed.push(object.usage);
    if (!this.wishes.usage && object.choices.length === 0) return this.mark();
    const told = cost(this.told);
    const { cost_nanousd: _, ...claimed } = object.usage;
    const usage = told === null ? claimed : { ...claimed, cost_nanousd: told };
    this.show(`data: ${JSON.stringify({ id: attempt, ...object, usage })}\n\n`);
  }

  done(): void {
    this.said += DONE;
    const { usage, call } = this.wishes;
    const owed = usage && this.claimed.length === 0 && this.events > 0;
    const made = { object: 'chat.completion.chunk', created: this.created, model: MODEL, choices: [], usage: this.summary(this.told) };
    this.show(`${owed ? `data: ${JSON.stringify({ id: call, ...made })}\n\n` : ''}${DONE}`);
  }

  /** Tokens are what was claimed, but no more than bytes were sent; without a claim, one for each event with text. */
  private get told(): Told {
    const last = (...path: string[]): number | null => {
      for (const usage of this.claimed.toReversed()) {
        const value = path.reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], usage);
        if (typeof value === 'number') return value;
      }
      return null;
    };
    const tokensIn = Math.min(last('prompt_tokens') ?? 0, this.wishes.requestBytes);
    const cachedIn = Math.min(last('prompt_tokens_details', 'cached_tokens') ?? 0, tokensIn);
    return { tokensIn, cachedIn, tokensOut: Math.min(last('completion_tokens') ?? this.events, this.text + 1) };
  }

  private summary(told: Told): Record<string, unknown> {
    const { tokensIn, tokensOut } = told;
    const cost = this.wishes.cost(told);
    const sums = { prompt_tokens: tokensIn, completion_tokens: tokensOut, total_tokens: tokensIn + tokensOut };
    return cost === null ? sums : { ...sums, cost_nanousd: cost };
  }

  private get created(): number {
    return Math.floor(this.wishes.startedAt / 1_000);
  }

  private show(text: string): void {
    this.visible += text;
    this.mark();
  }

  private mark(): void {
    const { told } = this;
    const last = this.marks.at(-1);
    const bytes = (last?.bytes ?? 0) + encoder.encode(this.visible.slice(last?.chars ?? 0)).byteLength;
    this.marks.push({
      bytes,
      chars: this.visible.length,
      text: this.text,
      ...told,
      end: (paid) => this.endOfCredit(boundedBy(told, paid)),
    });
  }

  private endOfCredit(told: Told): string {
    const { attempt, usage } = this.wishes;
    const choices = [{ index: 0, delta: {}, logprobs: null, finish_reason: 'insufficient_credit' }];
    const sums = usage ? `data: ${JSON.stringify({ id: attempt, choices: [], usage: this.summary(told) })}\n\n` : '';
    return `data: ${JSON.stringify({ id: attempt, choices })}\n\n${sums}${DONE}`;
  }
}

/** No more output is charged than was paid for when the reply ended. */
export function boundedBy(told: Told, paid: number): Told {
  return { ...told, tokensOut: Math.min(told.tokensOut, paid) };
}

function whole(random: Random, wishes: Wishes): Script {
  const size = random.chance(0.03) ? random.int(50_000, 400_000) : random.int(1, 300);
  const usage = random.chance(0.1) ? null : claim(random, size);
  const text = JSON.stringify({
    id: wishes.attempt,
    choices: [{ message: { content: 'x'.repeat(size) } }],
    ...(usage === null ? {} : { usage }),
  });
  const headers: [string, string][] = [['content-type', 'application/json']];
  const pieces = torn(random, encoder.encode(text), random.int(1, 4), size > 50_000);
  const marks = plainMarks(text, size, usage, wishes);
  return { status: 200, headers, headMs: random.int(0, 800), pieces, end: 'end', visible: text, marks, events: false, malformed: false };
}

/** A body that is no stream says what it came to at its end. */
function plainMarks(text: string, size: number, usage: Claim | null, { template, requestBytes }: Wishes): Mark[] {
  const nothing = { tokensIn: 0, cachedIn: 0, tokensOut: 0, end: NO_END };
  const start = { bytes: 0, chars: 0, text: 0, ...nothing };
  const end = { bytes: text.length, chars: text.length, text: size };
  if (template === 'http') return [start, { ...end, ...nothing }];
  const tokensIn = Math.min(usage?.prompt_tokens ?? 0, requestBytes);
  const cachedIn = Math.min(usage?.prompt_tokens_details?.cached_tokens ?? 0, tokensIn);
  return [start, { ...end, tokensIn, cachedIn, tokensOut: Math.min(usage?.completion_tokens ?? 1, size + 1), end: NO_END }];
}

/** What the engine says it used: honest, or as much as ten times of it, or nothing but part of it. */
function claim(random: Random, tokens: number): Claim {
  const prompt_tokens = random.chance(0.8) ? random.int(0, 200) : random.int(200, 10_000);
  const completion_tokens = random.chance(0.8) ? tokens : tokens * 10;
  if (random.chance(0.1)) return { completion_tokens, cost_nanousd: '1' };
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
        marks: [],
        events: false,
        malformed: false,
      };
    }
  }
}
