/** What a canary asks (pure). It must look like anyone's call, so that nothing but the work itself can be told apart. */
import type { AuditInstance } from '#protocol/audit.ts';

export type ProbeKind = 'chat' | 'text' | 'embedding' | 'http';

/** One way to call an instance. */
export interface Probe {
  kind: ProbeKind;
  method: 'GET' | 'POST';
  path: string;
}

export interface CanaryAsk {
  prompt: string;
  seed: number;
  maxTokens: number;
  /** Null: what the program takes where nobody says. */
  temperature: number | null;
  /** Whether the chances of the tokens are asked for. */
  chances: boolean;
}

/** Tokens of a plain canary, and of each question of a comparison. */
const PLAIN_TOKENS = 12;
const COMPARED_TOKENS = 48;
/** Of an answer that keeps an instance busy. */
const LOAD_TOKENS = 512;
/** Likely tokens that are named beside the one that was said. */
const TOP = 5;

const INFERENCE: readonly Probe[] = [
  { kind: 'chat', method: 'POST', path: '/v1/chat/completions' },
  { kind: 'text', method: 'POST', path: '/v1/completions' },
  { kind: 'embedding', method: 'POST', path: '/v1/embeddings' },
];

/**
 * How to call this instance, best first; the next is tried where the engine says 404 or 405. Empty: the chute has no
 * route that can be called without knowing what it does.
 */
export function probesOf(instance: AuditInstance): Probe[] {
  const declared = (probe: Probe) => instance.cords.some((c) => c.method === probe.method && c.path === probe.path);
  if (instance.template === 'openai') {
    if (instance.cords.length === 0) return INFERENCE.filter((p) => p.kind !== 'text');
    const inference = INFERENCE.find(declared);
    if (inference !== undefined) return [inference];
  }
  const path = plainPath(instance);
  return path === null ? [] : [{ kind: 'http', method: 'GET', path: `/call/${instance.chute}${path}` }];
}

function plainPath(instance: AuditInstance): string | null {
  const gets = instance.cords.filter((c) => c.method === 'GET' && !c.path.includes('{')).map((c) => c.path);
  if (instance.cords.length === 0 || gets.includes(instance.health)) return instance.health;
  return gets[0] ?? null;
}

const PROMPTS: readonly ((a: number, b: number) => string)[] = [
  (a, b) => `What is ${a} plus ${b}? Answer with the number.`,
  (a, b) => `Name ${1 + (a % 4)} animals that start with the letter ${String.fromCodePoint(65 + (b % 20))}.`,
  (a, b) => `Write one short sentence about the year ${1200 + ((a * 7 + b) % 800)}.`,
  (a, b) => `Which is larger, ${a} or ${b}? Say why in a few words.`,
];

/** The questions of one comparison, greedy and seeded. */
export function comparedAsks(count: number, rankAt: (at: number) => string): CanaryAsk[] {
  return Array.from({ length: count }, (_, at) => {
    const ask = canaryAsk(rankAt(at));
    return { ...ask, maxTokens: COMPARED_TOKENS, temperature: ask.seed % 2, chances: true };
  });
}

/** `rank` is 64 hex digits that nobody chose; every round asks something new, so no stored answer fits. */
export function canaryAsk(rank: string): CanaryAsk {
  const draw = (at: number) => Number.parseInt(rank.slice(at, at + 6), 16);
  const prompt = PROMPTS[draw(0) % PROMPTS.length] ?? PROMPTS[0];
  return {
    prompt: prompt?.(10 + (draw(6) % 900), 10 + (draw(12) % 900)) ?? '',
    seed: draw(18),
    maxTokens: PLAIN_TOKENS,
    temperature: null,
    chances: false,
  };
}

/** Something long, of `rank` too. */
export function loadAsk(rank: string): CanaryAsk {
  const ask = canaryAsk(rank);
  return { ...ask, prompt: `${ask.prompt} Then tell a long story in which it matters.`, maxTokens: LOAD_TOKENS };
}

/** The JSON body of a probe, or null. */
export function probeBody(probe: Probe, model: string, ask: CanaryAsk): Record<string, unknown> | null {
  const temperature = ask.temperature === null ? {} : { temperature: ask.temperature };
  const sampling = { max_tokens: ask.maxTokens, seed: ask.seed, stream: true, ...temperature };
  switch (probe.kind) {
    case 'chat':
      return {
        model,
        messages: [{ role: 'user', content: ask.prompt }],
        ...sampling,
        ...(ask.chances ? { logprobs: true, top_logprobs: TOP } : {}),
      };
    case 'text':
      return { model, prompt: ask.prompt, ...sampling };
    case 'embedding':
      return { model, input: ask.prompt };
    case 'http':
      return null;
  }
}
