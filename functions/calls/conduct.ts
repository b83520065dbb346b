/**
 * The path of a call, top to bottom: find, quote, pick, open, reach an instance (relay, or wait in the queue), reply. What
 * is decided is decided by the files beside this one; money is the Account's, slots are the Miner's, waiting is the Chute's.
 */
import { cordDeclared } from '#protocol';
import { RipcordError } from '../errors.ts';
import { factsOf } from '../prices/facts.ts';
import { FREE, termsAt } from '../prices/now.ts';
import type { Call, World } from './call.ts';
import { Dispatch } from './dispatch.ts';
import { FRESH_MS } from './find.ts';
import { insist } from './insist.ts';
import { refusalOf } from './money.ts';
import { MAX_CANDIDATES, pick, type Candidate } from './pick.ts';
import type { OpenAnswer, OpenAsk, Snapshot } from './ports.ts';
import type { Reply } from './pump.ts';
import { earlyReply, replyOf } from './replies.ts';
import { wantUsage } from './shape.ts';
import { unreadOf } from './unread.ts';

/** Conducts a call to its reply. Throws `RipcordError` for every refusal and failure before a reply. */
export async function conduct(call: Call, world: World): Promise<Reply> {
  const dispatch = await open(call, world);
  try {
    if (!cordDeclared(dispatch.snapshot.config, call.method, call.path)) throw new RipcordError('cord_not_found');
    const unread = unreadOf(call, dispatch.snapshot.config, dispatch.money.terms);
    if (unread !== null) throw unread;
    dispatch.call = asSent(call, dispatch.snapshot);
    const reached = await dispatch.reach(call.stream ? 'early' : 'wait');
    return reached === 'queued' ? earlyReply(dispatch) : replyOf(dispatch, reached);
  } catch (error) {
    await dispatch.close(error);
    if (error instanceof RipcordError) error.detail.rate = dispatch.money.rate;
    throw error;
  }
}

/** Find, quote, pick, open. Nothing about the chute is disclosed before the Account has agreed. */
async function open(call: Call, world: World): Promise<Dispatch> {
  const snapshot = call.chute === null ? null : await find(call, world, call.chute);
  const candidates = snapshot === null ? [] : candidatesOf(call, world, snapshot);
  const agents = agentsOf(snapshot, candidates);
  const timeoutMs = (snapshot?.config.timeout ?? 1) * 1000;
  const deadline = world.now() + timeoutMs;
  const terms = snapshot === null ? FREE : termsAt(snapshot.terms, world.now());
  const body = call.body instanceof Uint8Array ? call.body : null;
  const bodyBytes = call.body === null ? 0 : call.bodyBytes;
  const facts = factsOf(terms, { body, bodyBytes, maxTokens: call.maxTokens, timeoutMs });
  const opened = await openAccount(world, {
    call: call.id,
    claim: call.claim,
    chute: snapshot === null ? null : faceOf(snapshot, call.claim.account),
    version: snapshot?.version ?? '',
    terms,
    facts,
    extensible: call.tokens !== null && snapshot?.config.template === 'openai',
    agents,
    deadlineMs: timeoutMs,
    ...(call.crowd === true ? { crowd: true } : {}),
  });
  if (!opened.ok) throw refusalOf(opened);
  if (snapshot === null) throw new RipcordError('not_found');
  return new Dispatch(call, world, { snapshot, candidates, agents, deadline, facts, money: opened });
}

/** What the Account needs to know of a chute to say whether it may be called. */
function faceOf({ chute, owner, public: isPublic, shared }: Snapshot, account: string): NonNullable<OpenAsk['chute']> {
  return { id: chute, owner, public: isPublic, ...(shared?.includes(account) === true ? { shared: true } : {}) };
}

/** As it goes to an instance. */
function asSent(call: Call, { config }: Snapshot): Call {
  if (call.tokens === null || config.template !== 'openai' || !(call.body instanceof Uint8Array)) return call;
  const body = wantUsage(call.body, call.tokens);
  const headers = call.headers.map(([name, value]): [string, string] => [
    name,
    name === 'content-length' ? String(body.byteLength) : value,
  ]);
  return { ...call, body, headers };
}

/** An instance that the caller names may be younger than what is remembered. */
async function find(call: Call, world: World, chute: string): Promise<Snapshot | null> {
  const remembered = await insist(world, () => world.find(chute, false));
  const snapshot = mayHaveChanged(remembered, call, world) ? await insist(world, () => world.find(chute, true)) : remembered;
  if (call.instance === null || snapshot?.instances.some((i) => i.instance === call.instance) === true) return snapshot;
  return insist(world, () => world.find(chute, true));
}

/** Who else may call a private chute is the one thing in a snapshot that must not be old: a share that was taken back. */
function mayHaveChanged(snapshot: Snapshot | null, call: Call, world: World): boolean {
  if (snapshot === null || snapshot.public || snapshot.owner === call.claim.account) return false;
  return world.now() - snapshot.at >= FRESH_MS;
}

function candidatesOf(call: Call, world: World, snapshot: Snapshot): Candidate[] {
  const { affinity, instance } = call;
  const facts = { version: snapshot.version, affinity, instance, now: world.now(), random: world.random(), weights: world.weights() };
  return pick(snapshot.instances, facts);
}

/** Agents the Account inquires at the deadline: the candidates, and whoever else may be named by the queue. */
function agentsOf(snapshot: Snapshot | null, candidates: readonly Candidate[]): string[] {
  const all = [...candidates.map((c) => c.instance), ...(snapshot?.instances ?? [])].map((i) => i.agent);
  return [...new Set(all)].slice(0, 4 * MAX_CANDIDATES);
}

/** An object that goes down under the request may have written the hold: a second ask then finds the call there. */
function openAccount(world: World, ask: OpenAsk): Promise<OpenAnswer> {
  let asked = 0;
  return insist(world, async () => {
    asked++;
    return world.account(ask.claim.account).open(asked > 1 ? { ...ask, again: true } : ask);
  });
}
