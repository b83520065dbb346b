/**
 * What a stream of tokens tells its client of its own cost: in the usage that the engine sent, in one made here where the
 * engine sends none, and in its last event where the credit ends. All of it follows from the attempt's row and the
 * agent's bytes, so a stream that is taken up by another object says the same. Pure.
 */
import { chargeOf } from '../prices/charge.ts';
import { isObject, meteredTokens, type Meter } from './meter.ts';
import type { AttemptRow } from './rows.ts';

type Json = Record<string, unknown>;

export class Bill {
  private readonly row: AttemptRow;
  private readonly status: number;

  /** `status`: of the reply. */
  constructor(row: AttemptRow, status: number) {
    this.row = row;
    this.status = status;
  }

  /** An event's usage with the cost so far in it. Nobody but the edge says what a call costs. */
  withCost(usage: Json, meter: Meter, paid = Infinity): Json {
    const { cost_nanousd: _, ...claimed } = usage;
    const cost = this.cost(meter, paid);
    return cost === null ? claimed : { ...claimed, cost_nanousd: cost };
  }

  /** An event with nothing but the usage, which only the edge asked for. */
  ownUsage(object: Json): boolean {
    const { stream } = this.row.ask;
    return stream?.usage === false && Array.isArray(object['choices']) && object['choices'].length === 0 && isObject(object['usage']);
  }

  /** The last event before `[DONE]` for a client that asked for usage and an engine that told none; else empty. */
  owedUsage(meter: Meter): string {
    const { stream, call } = this.row.ask;
    if (stream?.usage !== true || meter.claimIn !== null || meter.claimOut !== null || meter.events === 0) return '';
    const created = Math.floor(this.row.startedAt / 1000);
    return event({ id: call, object: stream.object, created, model: stream.model, choices: [], usage: this.usage(meter) });
  }

  /** The end of a stream whose credit is used up, in the form of the event that is withheld. `paid`: output tokens. */
  endOfCredit(withheld: Json, meter: Meter, paid: number): string {
    const { stream } = this.row.ask;
    const { id, object, created, model } = withheld;
    const choices = Array.from({ length: stream?.choices ?? 1 }, (_, index) => ended(index, object));
    const last = { id, object, created, model };
    const usage = stream?.usage === true ? event({ ...last, choices: [], usage: this.usage(meter, paid) }) : '';
    return `${event({ ...last, choices })}${usage}${DONE}`;
  }

  private usage(meter: Meter, paid = Infinity): Json {
    const { tokensIn, tokensOut } = meteredTokens(meter, this.row.requestBytes, paid, this.row.ask.stream?.prompt);
    const prompt_tokens = tokensIn ?? 0;
    const completion_tokens = tokensOut ?? 0;
    return this.withCost({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }, meter, paid);
  }

  /**
   * Nano-USD as a decimal text. Null where it does not follow from the row: a price by time, a body whose length is known
   * only at its end, or a row of an older deploy.
   */
  private cost(meter: Meter, paid: number): string | null {
    const { ask, requestBytes } = this.row;
    if (ask.hold === undefined || ask.terms.price.per_second > 0 || requestBytes === 0) return null;
    const tokens = meteredTokens(meter, requestBytes, paid, ask.stream?.prompt);
    const charge = chargeOf(ask.terms, ask.facts, {
      outcome: 'completed',
      status: this.status,
      bytes: meter.bytes,
      ...tokens,
      lastByteMs: 0,
    });
    const hold = BigInt(ask.hold);
    // What is held of an extensible call grows with it.
    return (ask.allowance === null && charge > hold ? hold : charge).toString();
  }
}

export const DONE = 'data: [DONE]\n\n';

export function event(object: Json): string {
  return `data: ${JSON.stringify(object)}\n\n`;
}

function ended(index: number, object: unknown): Json {
  const finish_reason = 'insufficient_credit';
  if (object === 'text_completion') return { index, text: '', logprobs: null, finish_reason };
  return { index, delta: {}, logprobs: null, finish_reason };
}
