/** Carries out one task and writes down what passed. It decides nothing: that is for `judge`. */
import type { AuditInstance } from '#protocol/audit.ts';
import { readText } from '../bounded.ts';
import type { Edge } from '../edge/edge.ts';
import { EdgeError } from '../edge/request.ts';
import { probeBody, type CanaryAsk, type Probe } from './ask.ts';
import type { ComparisonTask, PingTask, Task } from './plan.ts';
import { readStream } from './reply.ts';
import { session, type Session } from './session.ts';

/** Milliseconds a canary may take, over all its probes. */
const CANARY_MS = 15_000;
/** Milliseconds of a whole comparison. */
const COMPARISON_MS = 40_000;
/** Bytes of a canary's reply. */
const CANARY_BYTES = 256 * 1024;

export interface PingTranscript {
  type: 'rtt';
  /** Unix milliseconds. */
  at: number;
  /** Of the edge's reply; 0: none. */
  status: number;
  rttMs: number | null;
}

export interface CanaryTranscript {
  type: 'canary';
  at: number;
  probe: Probe;
  /** What kept the reply from being read to its end. */
  failure: 'timeout' | 'network' | 'too_big' | null;
  /** 0: no head came. */
  status: number;
  /** The edge's own error code, from a header that no instance can set. */
  edgeCode: string | null;
  call: string | null;
  /** Milliseconds to the first byte that the instance made, and to the end. */
  firstByteMs: number | null;
  totalMs: number;
  text: string;
}

/** The suspect's last answer, and what the comparison came to. */
export type ComparisonTranscript = Omit<CanaryTranscript, 'type'> & { type: 'comparison'; ask: CanaryAsk; session: Session };

export type Seen = PingTranscript | CanaryTranscript | ComparisonTranscript;

/** Never throws. `canaryMs`: how long a canary may take. */
export function probe(edge: Edge, task: Task, canaryMs: number = CANARY_MS): Promise<Seen> {
  switch (task.type) {
    case 'rtt':
      return ping(edge, task);
    case 'canary':
      return canary(edge, task, AbortSignal.timeout(canaryMs));
    case 'comparison':
      return comparison(edge, task, AbortSignal.timeout(COMPARISON_MS), canaryMs);
  }
}

/** The session ends with the first question that somebody does not answer; whose fault that is follows from the suspect's answer. */
async function comparison(edge: Edge, task: ComparisonTask, over: AbortSignal, canaryMs: number): Promise<ComparisonTranscript> {
  let last: { seen: CanaryTranscript; ask: CanaryAsk } | null = null;
  const done = await session(
    async (who, ask) => {
      const signal = AbortSignal.any([over, AbortSignal.timeout(canaryMs)]);
      const seen = await canary(edge, { instance: who === 'suspect' ? task.instance : who.instance, probes: task.probes, ask }, signal);
      if (who === 'suspect') last = { seen, ask };
      return seen.status === 200 && seen.failure === null ? readStream(seen.text).said : null;
    },
    task.referees,
    task.asks,
  );
  const { seen, ask } = last ?? (await plain(edge, task, canaryMs));
  return { ...seen, type: 'comparison', ask, session: done };
}

async function plain(edge: Edge, task: ComparisonTask, canaryMs: number): Promise<{ seen: CanaryTranscript; ask: CanaryAsk }> {
  return { seen: await canary(edge, task, AbortSignal.timeout(canaryMs)), ask: task.ask };
}

async function ping(edge: Edge, task: PingTask): Promise<PingTranscript> {
  const at = Date.now();
  try {
    return { type: 'rtt', at, status: 200, rttMs: await edge.ping(task.agent, task.id) };
  } catch (error) {
    return { type: 'rtt', at, status: error instanceof EdgeError ? error.status : 0, rttMs: null };
  }
}

/** What one canary needs. */
interface Call {
  instance: AuditInstance;
  probes: readonly Probe[];
  ask: CanaryAsk;
}

/** Tries the next probe where the engine does not have the route; `signal` is over all of them. */
async function canary(edge: Edge, task: Call, signal: AbortSignal): Promise<CanaryTranscript> {
  const [first, ...others] = task.probes;
  if (first === undefined) throw new Error('a canary needs a probe');
  let transcript = await send(edge, task, first, signal);
  for (const probe of others) {
    if (transcript.status !== 404 && transcript.status !== 405) break;
    transcript = await send(edge, task, probe, signal);
  }
  return transcript;
}

async function send(edge: Edge, task: Call, probe: Probe, signal: AbortSignal): Promise<CanaryTranscript> {
  const at = Date.now();
  const transcript: CanaryTranscript = {
    type: 'canary',
    at,
    probe,
    failure: null,
    status: 0,
    edgeCode: null,
    call: null,
    firstByteMs: null,
    totalMs: 0,
    text: '',
  };
  try {
    const json = probeBody(probe, task.instance.name, task.ask);
    const headers: Record<string, string> = { 'x-ripcord-instance': task.instance.instance };
    if (json !== null) headers['content-type'] = 'application/json';
    const reply = await edge.call(probe.path, {
      method: probe.method,
      headers,
      body: json === null ? null : JSON.stringify(json),
      signal,
    });
    transcript.status = reply.status;
    transcript.edgeCode = reply.headers.get('x-ripcord-error');
    transcript.call = reply.headers.get('x-request-id')?.slice(0, 64) || null;
    const read = await readText(reply.body, CANARY_BYTES, (text) => {
      if (transcript.firstByteMs === null && fromInstance(probe, text)) transcript.firstByteMs = Date.now() - at;
      transcript.text = text;
    });
    transcript.text = read.text;
    if (!read.whole) transcript.failure = 'too_big';
  } catch {
    transcript.failure = signal.aborted ? 'timeout' : 'network';
  }
  transcript.totalMs = Date.now() - at;
  return transcript;
}

/** The edge's heartbeats are comments; the first `data:` line is the instance's. */
function fromInstance(probe: Probe, text: string): boolean {
  return probe.kind === 'chat' || probe.kind === 'text' ? /^data:/m.test(text) : text.length > 0;
}
