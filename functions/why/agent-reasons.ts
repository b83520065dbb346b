/**
 * Why an agent has no work, as the edge sees it: how its sessions ended, what it says of itself, what its claims came to,
 * and what the board asks of its machine. Pure; the words are those of `protocol/why.ts`.
 */
import { CLOSE, WHY, WHY_CODES, foremost, type IdleMessage, type Inventory, type WhyCode, type WhyReason } from '#protocol';
import type { Offer } from '../calls/ports.ts';
import type { PastRow } from '../miner/past.ts';
import { lack } from './offer-fits.ts';

/** What is known of one agent. */
export interface AgentWorld extends Pick<PastRow, 'since' | 'clockMs' | 'ends' | 'idle'> {
  connected: boolean;
  /** The operator of this network lets its hotkey in no more. */
  refused?: boolean;
  /** A judge of the gate keeps paid calls away. */
  gated?: boolean;
  draining: boolean;
  inventory: Inventory | null;
  instances: { chute: string; state: 'starting' | 'live' | 'draining' }[];
  /** Of the last hour: refused claims by code, failed starts by chute id. */
  refusals: { code: string; count: number }[];
  failures: { code: string; count: number }[];
}

/** What the world asks for. */
export interface Board {
  offers: readonly Offer[];
  /** Names of public chutes by id; no other may be told. */
  names: ReadonlyMap<string, string>;
}

export interface AgentWhy {
  state: 'serving' | 'starting' | 'idle' | 'away';
  reasons: { code: WhyCode; count: number; text: string; chutes: string[] }[];
  next: { code: WhyCode; text: string } | null;
}

/** Milliseconds that clocks may differ. */
const CLOCK_MS = 30_000;
/** Sessions that broke within `CUT_MS` milliseconds of now that make a pattern. */
const CUTS = 3;
const CUT_MS = 600_000;
/** Chutes named per reason. */
const NAMED = 5;

/** `now`: unix ms. */
export function agentWhy(agent: AgentWorld, board: Board, now: number): AgentWhy {
  const state = stateOf(agent);
  const reasons = merged([...ofSessions(agent, now), ...(agent.connected ? ofWork(agent, board) : [])], new Set(board.names.values()));
  const first = foremost(state === 'serving' && !reasons.some(isGeneral) ? reasons.filter((it) => it.code === 'serving') : reasons);
  return {
    state,
    reasons: reasons.map((it) => ({ ...it, text: WHY[it.code].text })),
    next: first === null ? null : { code: first, text: WHY[first].next },
  };
}

function stateOf({ connected, instances }: AgentWorld): AgentWhy['state'] {
  if (!connected) return 'away';
  if (instances.some((it) => it.state === 'live')) return 'serving';
  return instances.some((it) => it.state === 'starting') ? 'starting' : 'idle';
}

/** What keeps it from everything. */
function ofSessions(agent: AgentWorld, now: number): WhyReason[] {
  if (agent.refused === true) return [plain('refused')];
  if (agent.gated === true) return [plain('gated')];
  const found: WhyReason[] = [];
  const cuts = agent.ends.filter(({ at, code }) => now - at < CUT_MS && !KNOWN_ENDS.has(code)).length;
  const last = agent.ends.at(-1)?.code;
  if (cuts >= CUTS) found.push(plain('socket_cut', cuts));
  if (agent.connected) {
    if (Math.abs(agent.clockMs) > CLOCK_MS) found.push(plain('wrong_clock'));
    if (agent.draining) found.push(plain('leaving'));
    if (wordsOf(agent)?.maintenance === true) found.push(plain('maintenance'));
    return found;
  }
  if (last === CLOSE.done) return [plain('leaving')];
  if (last === CLOSE.version) return [plain('old_version')];
  if (last === CLOSE.protocol || last === CLOSE.limit) return [plain('refused')];
  return found.length > 0 ? found : [plain('not_connected')];
}

/** Ends that somebody meant; all others are cuts. */
const KNOWN_ENDS: ReadonlySet<number> = new Set([CLOSE.done, CLOSE.superseded, CLOSE.version, CLOSE.expired, CLOSE.protocol, CLOSE.limit]);

function ofWork(agent: AgentWorld, { offers, names }: Board): WhyReason[] {
  const live = agent.instances.filter((it) => it.state === 'live').map((it) => names.get(it.chute) ?? '');
  return [
    ...(wordsOf(agent)?.reasons ?? ofBoard(agent, offers)),
    ...agent.refusals.flatMap(({ code, count }) => (REFUSED[code] === undefined ? [] : [{ code: REFUSED[code], count, chutes: [] }])),
    ...agent.failures.map(({ code: chute, count }) => ({ code: 'start_failed' as const, count, chutes: [names.get(chute) ?? ''] })),
    ...(live.length === 0 ? [] : [{ code: 'serving' as const, count: live.length, chutes: live }]),
  ];
}

/** What it said in this session. */
function wordsOf({ idle, since }: AgentWorld): IdleMessage | null {
  return idle !== null && since !== null && idle.at >= since ? idle.message : null;
}

/** Of an agent that does not say it itself. */
function ofBoard({ inventory }: AgentWorld, offers: readonly Offer[]): WhyReason[] {
  if (inventory === null) return [];
  if (offers.length === 0) return [plain('no_demand')];
  return offers.flatMap((offer) => {
    const code = lack(offer, inventory);
    return code === null ? [] : [{ code, count: 1, chutes: [offer.name] }];
  });
}

/** What a refused claim says of an agent. */
const REFUSED: Partial<Record<string, WhyCode>> = {
  taken: 'taken',
  no_need: 'taken',
  not_yet: 'taken',
  others_first: 'others_first',
  cooling_down: 'start_failed',
};

/** One reason per code, in the order of codes; of all chutes, those that everybody may know. */
function merged(reasons: readonly WhyReason[], known: ReadonlySet<string>): WhyReason[] {
  return WHY_CODES.flatMap((code) => {
    const of = reasons.filter((it) => it.code === code);
    if (of.length === 0) return [];
    const chutes = [...new Set(of.flatMap((it) => it.chutes))].filter((name) => known.has(name)).slice(0, NAMED);
    return [{ code, count: of.reduce((sum, it) => sum + it.count, 0), chutes }];
  });
}

function isGeneral({ code }: WhyReason): boolean {
  return WHY_CODES.indexOf(code) < WHY_CODES.indexOf('no_demand');
}

function plain(code: WhyCode, count = 1): WhyReason {
  return { code, count, chutes: [] };
}
