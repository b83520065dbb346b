/** Once a minute: the subnet's neurons from a finalized block into Postgres, and agents of hotkeys that lost their place are let go. */
import * as db from '#db';
import type { Env } from '../env.ts';
import { event } from '../events.ts';
import { minerStub } from '../stubs.ts';
import { openChain } from './chain.ts';
import { closedSubnet, rememberRegistered } from './registered.ts';
import { readSubnet } from './subnet.ts';

/** An agent logs in at least once a day: who did not lately is not here. `agents` are let go per minute. */
const DISMISS = { seenMs: 25 * 3_600_000, agents: 200 } as const;

/** The number of neurons. Throws `ChainError`: the next minute tries again, and what is known stays. */
export async function syncNeurons(env: Env): Promise<number> {
  const chain = openChain(env);
  if (chain === null || env.NETUID === undefined) return 0;
  const { netuid, head, clock, neurons } = await readSubnet(chain, Number(env.NETUID));
  const base = db.connect(env);
  const taken = await db.saveNeurons(base, { netuid, block: head.number, hash: head.hash, epochIndex: clock.index }, neurons);
  if (taken) rememberRegistered(netuid, new Set(neurons.map(({ hotkey }) => hotkey)), Date.now());
  if (closedSubnet(env) !== null) await dismiss(env, base);
  return neurons.length;
}

/** Told each minute until they are gone from the list: one whose object did not answer is told again. */
async function dismiss(env: Env, base: db.Database): Promise<void> {
  const agents = await db.listUnregistered(base, { seenMs: DISMISS.seenMs, limit: DISMISS.agents });
  const told = await Promise.allSettled(agents.map((agent) => minerStub(env, agent).dismiss('the hotkey is not registered on the subnet')));
  const away = told.filter(({ status }) => status === 'rejected').length;
  const dismissed = told.filter((answer) => answer.status === 'fulfilled' && answer.value).length;
  if (dismissed > 0 || away > 0) event('agents_dismissed', { agents: dismissed, unanswered: away });
}
