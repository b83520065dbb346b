/** Where a chute stands on its way from nothing to an instance that serves: what `warmup` tells, and what a waiting call is told. */
import type { ChuteView, InstanceView } from './view.ts';

/** In this order a start goes; `failed` is none of a start that is under way. */
export const PHASES = ['cold', 'waiting', 'granted', 'pulling', 'loading', 'ready', 'failed'] as const;
export type Phase = (typeof PHASES)[number];

/** Who reads: what the program and its machine say is the owner's business. */
export type Eyes = 'owner' | 'caller';

export interface StartView {
  instance_id: string;
  phase: 'granted' | 'pulling' | 'loading' | 'ready';
  /** 0 to 1 of its phase, where the agent tells it. */
  progress: number | null;
  detail: string;
}

export interface WarmView {
  /** As Chutes says it. */
  status: 'cold' | 'hot';
  log: string;
  phase: Phase;
  progress: number | null;
  detail: string;
  instances: StartView[];
  /** Milliseconds since instances are missing; null: none is. */
  waiting_ms: number | null;
  /** What the first miner to serve gets beside what calls pay. */
  bounty_nanousd: number;
  last_error: { at: string; message: string | null; failed_starts: number; crash_loop: boolean } | null;
}

/** `iso`: a time of the view as text; this file has no clock. */
export function warmView(view: ChuteView, eyes: Eyes, now: number, iso: (ms: number) => string): WarmView {
  const instances = view.instances
    .filter((it) => it.version === view.version || it.state === 'live')
    .map((it) => startOf(it, eyes))
    .filter((it) => it !== null);
  const furthest = instances.toSorted(
    (a, b) => PHASES.indexOf(b.phase) - PHASES.indexOf(a.phase) || (b.progress ?? 0) - (a.progress ?? 0),
  )[0];
  const phase = furthest?.phase ?? (view.failing ? 'failed' : view.need > 0 ? 'waiting' : 'cold');
  const detail = furthest === undefined ? detailOf(view, phase, eyes) : furthest.detail;
  return {
    status: phase === 'ready' ? 'hot' : 'cold',
    log: detail === '' ? SAID[phase] : `${SAID[phase]}: ${detail}`,
    phase,
    progress: furthest?.progress ?? null,
    detail,
    instances,
    waiting_ms: view.unmetSince === null ? null : Math.max(0, now - view.unmetSince),
    bounty_nanousd: view.bounty,
    last_error: lastError(view, eyes, iso),
  };
}

const SAID: Record<Phase, string> = {
  cold: 'nothing runs and nothing is asked for',
  waiting: 'no miner has taken it yet',
  granted: 'a miner has taken it',
  pulling: 'a miner fetches it',
  loading: 'it starts',
  ready: 'an instance serves',
  failed: 'its starts fail',
};

/** One instance on its way; null: it is on its way out. */
function startOf(it: InstanceView, eyes: Eyes): StartView | null {
  const phase = phaseOf(it);
  if (phase === null) return null;
  const told = PROGRESS.exec(it.detail);
  const percent = told?.[2] === undefined ? null : Math.min(100, Number(told[2]));
  // Of what the agent says, others see the progress alone.
  const detail = phase === 'ready' ? '' : eyes === 'owner' ? it.detail : (told?.[0] ?? '');
  return { instance_id: it.instance, phase, progress: phase === 'ready' || percent === null ? null : percent / 100, detail };
}

/** What agents say of a start: `fetching 40 %`, `pulling 40 %`, `loading 12 %`. */
const PROGRESS = /^(fetching|pulling|loading)(?: (\d{1,3}) %)?/;

/** How far one instance is; null: it will not serve. */
export function phaseOf({ state, detail }: Pick<InstanceView, 'state' | 'detail'>): StartView['phase'] | null {
  if (state === 'live') return 'ready';
  if (state === 'granted') return 'granted';
  if (state !== 'starting') return null;
  return /^(fetching|pulling)\b/.test(detail) ? 'pulling' : 'loading';
}

function detailOf(view: ChuteView, phase: Phase, eyes: Eyes): string {
  if (phase === 'waiting' && view.unpaidSince !== null) return 'its owner cannot pay for an instance';
  return phase === 'failed' && eyes === 'owner' ? (view.lastError?.text ?? '') : '';
}

function lastError({ lastError: error }: ChuteView, eyes: Eyes, iso: (ms: number) => string): WarmView['last_error'] {
  if (error === null) return null;
  return { at: iso(error.at), message: eyes === 'owner' ? error.text : null, failed_starts: error.count, crash_loop: error.loop };
}
