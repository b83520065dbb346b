/** Asks the edge to run what is due. Whoever asks first starts it, so many judges cost a device no more than one. */
import { drawingRound, due, slotOf, type Due } from '#protocol/challenge/index.ts';
import { inTurns } from '#protocol/in-turns.ts';
import type { TargetItem } from '#protocol/judging.ts';
import type { Bench } from '../bench.ts';

export interface Asked {
  due: number;
  /** The edge's answers, counted: `started`, `running`, `ended`, `refused offline`, … */
  states: Record<string, number>;
}

/** What is due in the slot that holds the time; a slot that is over is not asked for any more. */
export async function askDue(bench: Bench, atMs: number): Promise<Asked> {
  const slot = slotOf(bench.config.suite, atMs);
  const challenges = await dueIn(bench, slot, await bench.feed.targets());
  const asks = challenges.map(({ kind, target }) => ({ kind, target }));
  const asked: Asked = { due: asks.length, states: {} };
  for (const state of asks.length === 0 ? [] : await bench.feed.ask(slot, asks)) asked.states[state] = (asked.states[state] ?? 0) + 1;
  return asked;
}

/**
 * Who was not there yet is not due, nor what is known to have nothing to prove. Agent by agent, each hotkey's in its turn: in a flash
 * nobody is asked late because of another's thousand names.
 */
export async function dueIn({ beacon, config: { suite } }: Bench, slot: number, targets: readonly TargetItem[]): Promise<Due[]> {
  const { randomness } = await beacon.pulse(drawingRound(beacon.chain, slot));
  const there = new Map(targets.filter((target) => target.since <= slot).map((target) => [target.target, target]));
  const byAgent = [...Map.groupBy(there.values(), (target) => target.agent).values()];
  const inOrder = inTurns(byAgent, ([first]) => first?.hotkey ?? '').flat();
  return due(suite, slot, randomness, inOrder).filter(({ kind, target }) => there.get(target)?.kinds?.includes(kind) ?? true);
}
