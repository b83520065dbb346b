/** A block while it is made: the state it changes and the events it writes. */
import type { BeaconChain } from '#protocol/challenge/beacon.ts';
import type { Phase, RuntimeEvent } from './events.ts';
import { ITEMS, State } from './state.ts';

/** The beacon as the chain knows it: its own workers bring the pulses. */
export interface ChainBeacon {
  chain: BeaconChain;
  /** Hex; null where the signature of the round has not come. */
  signature(round: number): string | null;
}

export interface BlockBeing {
  readonly number: number;
  readonly nowMs: number;
  readonly state: State;
  readonly beacon: ChainBeacon | null;
  /** Of what runs now. */
  phase: Phase;
  readonly events: { phase: Phase; event: RuntimeEvent }[];
}

export const INITIALIZATION: Phase = { type: 'Initialization', value: {} };

type Subtensor = Extract<RuntimeEvent, { type: 'SubtensorModule' }>['value']['_0'];
type Balances = Extract<RuntimeEvent, { type: 'Balances' }>['value']['_0'];

export function emit(block: BlockBeing, event: RuntimeEvent): void {
  block.events.push({ phase: block.phase, event });
}

export function subtensorEvent(type: Subtensor['type'], ...values: unknown[]): RuntimeEvent {
  return { type: 'SubtensorModule', value: { _0: { type, value: Object.fromEntries(values.map((value, i) => [`_${i}`, value])) } } };
}

export function balancesEvent(event: Balances): RuntimeEvent {
  return { type: 'Balances', value: { _0: event } };
}

/** rao; may go below nothing only by a mistake of the stand-in. */
export function addBalance({ state }: { state: State }, who: string, rao: bigint): void {
  const info = state.get(ITEMS.account, who);
  const free = info.data.free + rao;
  if (free < 0n) throw new Error('a balance below nothing');
  state.set(ITEMS.account, [who], { ...info, providers: 1, data: { ...info.data, free } });
}
