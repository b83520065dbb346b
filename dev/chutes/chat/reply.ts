/** Runs a job and answers with one JSON body or with a stream of events, in the wording of its route. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type Chosen, generate, type Outcome, type Piece, type Plan } from './generate.ts';
import { openEvents, sendJson } from './http.ts';
import type { LanguageModel, Predict } from './model.ts';
import type { Common } from './request.ts';
import { randomFrom } from './sampler.ts';

type Prompt = { predict: Predict; context: readonly number[]; echo: string };

export type Job = Common & {
  prompts: Prompt[];
  promptTokens: number;
  /** For each choice. */
  maxTokens: number;
  alternatives: number;
  wording: Wording;
};

type Reason = Outcome['reason'];

/** How a route words its choices. */
export type Wording = {
  prefix: string;
  object: string;
  chunkObject: string;
  opening(index: number, echo: string): object | null;
  chunk(index: number, piece: Piece): object;
  closing(index: number, reason: Reason): object;
  whole(index: number, piece: Piece, reason: Reason, echo: string): object;
};

type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number };
type Choice = { index: number; echo: string; plan: Plan };

export async function reply(job: Job, model: LanguageModel, response: ServerResponse, signal: AbortSignal): Promise<void> {
  const choices = choicesOf(job, model);
  const head = {
    id: job.wording.prefix + randomUUID().replaceAll('-', ''),
    created: Math.floor(Date.now() / 1000),
    model: job.model,
    system_fingerprint: model.fingerprint,
  };
  await (job.stream ? replyInEvents : replyAtOnce)(job, choices, head, response, signal);
}

async function replyAtOnce(job: Job, choices: Choice[], head: object, response: ServerResponse, signal: AbortSignal) {
  const written = await Promise.all(choices.map((choice) => collect(choice, signal)));
  sendJson(response, 200, {
    ...head,
    object: job.wording.object,
    choices: choices.map(({ index, echo }, at) => {
      const { piece, outcome } = written[at]!;
      return job.wording.whole(index, piece, outcome.reason, echo);
    }),
    usage: usageOf(
      job,
      written.map(({ outcome }) => outcome),
    ),
  });
}

async function replyInEvents(job: Job, choices: Choice[], head: object, response: ServerResponse, signal: AbortSignal) {
  const write = openEvents(response, signal);
  const { wording } = job;
  const event = (list: object[], usage: Usage | null) => ({
    ...head,
    object: wording.chunkObject,
    choices: list,
    ...(job.includeUsage ? { usage } : {}),
  });
  const outcomes = await Promise.all(
    choices.map(async ({ index, echo, plan }) => {
      const opening = wording.opening(index, echo);
      if (opening !== null) await write(event([opening], null));
      const pieces = generate(plan, signal);
      for (;;) {
        const step = await pieces.next();
        if (step.done === true) {
          await write(event([wording.closing(index, step.value.reason)], null));
          return step.value;
        }
        await write(event([wording.chunk(index, step.value)], null));
      }
    }),
  );
  if (job.includeUsage) await write(event([], usageOf(job, outcomes)));
  await write('[DONE]');
  response.end();
}

async function collect({ plan }: Choice, signal: AbortSignal): Promise<{ piece: Piece; outcome: Outcome }> {
  const tokens: Chosen[] = [];
  const texts: string[] = [];
  const pieces = generate(plan, signal);
  for (;;) {
    const step = await pieces.next();
    if (step.done === true) return { piece: { text: texts.join(''), tokens }, outcome: step.value };
    texts.push(step.value.text);
    tokens.push(...step.value.tokens);
  }
}

/** Every prompt `n` times; with a seed, each choice has randomness of its own that the seed decides. */
function choicesOf(job: Job, model: LanguageModel): Choice[] {
  const seed = job.seed === null ? randomUUID() : String(job.seed);
  return job.prompts.flatMap(({ echo, ...prompt }, at) =>
    Array.from({ length: job.choices }, (_, turn) => {
      const index = at * job.choices + turn;
      const random = randomFrom(`${seed}/${index}`);
      return { index, echo, plan: { ...job, ...prompt, vocabulary: model.vocabulary, random } };
    }),
  );
}

function usageOf(job: Job, outcomes: readonly Outcome[]): Usage {
  const written = outcomes.reduce((sum, { tokens }) => sum + tokens, 0);
  return { prompt_tokens: job.promptTokens, completion_tokens: written, total_tokens: job.promptTokens + written };
}
