/** Why this agent takes no more, counted: what it tells the edge, and what `ripcord-miner why` shows. */
import { WHY_CODES, type IdleMessage, type WhyCode, type WhyReason } from '#protocol';
import type { Action, World } from './world.ts';

/** Chutes named per reason; the wire takes no more. */
const NAMED = 5;

/** What the last look came to, in the words of the wire. */
export function idleOf(actions: readonly Action[], { wishes, offers, running }: Pick<World, 'wishes' | 'offers' | 'running'>): IdleMessage {
  const met = actions.filter((a) => a.do === 'skip').map(({ code, name }) => ({ code, name }));
  for (const { state, name } of running) if (state === 'live') met.push({ code: 'serving', name });
  for (const action of actions) if (action.do === 'claim') met.push({ code: 'claiming', name: action.name });
  if (wishes.maintenance && met.every((m) => m.code !== 'maintenance')) met.push({ code: 'maintenance', name: '' });
  if (offers.length === 0) met.push({ code: 'no_demand', name: '' });
  return { type: 'idle', maintenance: wishes.maintenance, offers: offers.length, reasons: counted(met) };
}

function counted(met: readonly { code: WhyCode; name: string }[]): WhyReason[] {
  return WHY_CODES.flatMap((code) => {
    const of = met.filter((m) => m.code === code);
    if (of.length === 0) return [];
    const chutes = [...new Set(of.map((m) => m.name))].filter((name) => name !== '').slice(0, NAMED);
    return [{ code, count: of.length, chutes }];
  });
}
