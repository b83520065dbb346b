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
}

const MAX_TOKENS = 12;

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

/** `rank` is 64 hex digits that nobody chose; every round asks something new, so no stored answer fits. */
export function canaryAsk(rank: string): CanaryAsk {
  const draw = (at: number) => Number.parseInt(rank.slice(at, at + 6), 16);
  const prompt = PROMPTS[draw(0) % PROMPTS.length] ?? PROMPTS[0];
  return { prompt: prompt?.(10 + (draw(6) % 900), 10 + (draw(12) % 900)) ?? '', seed: draw(18), maxTokens: MAX_TOKENS };
}

/** The JSON body of a probe, or null. */
export function probeBody(probe: Probe, model: string, ask: CanaryAsk): Record<string, unknown> | null {
  const sampling = { max_tokens: ask.maxTokens, seed: ask.seed, stream: true };
  switch (probe.kind) {
    case 'chat':
      return { model, messages: [{ role: 'user', content: ask.prompt }], ...sampling };
    case 'text':
      return { model, prompt: ask.prompt, ...sampling };
    case 'embedding':
      return { model, input: ask.prompt };
    case 'http':
      return null;
  }
}
