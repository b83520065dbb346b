/** A shaped call, and everything it touches on its way. */
import type { AccountPort, CallId, ChutePort, KeyClaim, MinerPort, Snapshot, StreamAsk } from './ports.ts';
import type { TokenShape } from './shape.ts';

/** A request that was shaped: parsed, bounded, its key checked for form. */
export interface Call {
  id: CallId;
  claim: KeyClaim;
  /** Id of the chute, or null when the name means nothing. */
  chute: string | null;
  method: string;
  /** Path and query for the engine. */
  path: string;
  headers: [string, string][];
  /** Bytes can be sent again; a stream goes once. */
  body: Uint8Array | ReadableStream<Uint8Array> | null;
  /** Most bytes a body that is a stream can have. */
  bodyBytes: number;
  maxTokens: number | null;
  /** The client gets its 200 and comments while the call waits. */
  stream: boolean;
  /** The reply is a stream of tokens, if the chute speaks of tokens: it can end early, and tells what it cost. */
  tokens: StreamAsk | null;
  /** Why neither could be read. */
  unread?: TokenShape['unread'];
  affinity: string;
  /** `X-Ripcord-Instance`. */
  instance: string | null;
  /** The client left. */
  signal: AbortSignal;
  /** Many calls are on their way here; see `OpenAsk`. */
  crowd?: boolean;
}

/** Everything a call touches. The Worker binds it to objects, the simulator to a hostile network. */
export interface World {
  /** `fresh`: not from memory. */
  find(chute: string, fresh: boolean): Promise<Snapshot | null>;
  /** What a Miner object said of an instance; keeps the next pick from the same mistake. */
  fold(chute: string, instance: string, code: string, busy: number): void;
  /** What the chain gives each hotkey, as last read. */
  weights(): ReadonlyMap<string, number>;
  account(id: string): AccountPort;
  chute(id: string): Pick<ChutePort, 'enqueue' | 'wait' | 'leave' | 'place'>;
  miner(agent: string): Pick<MinerPort, 'relay' | 'attach' | 'keep'>;
  now(): number;
  random(): number;
  sleep(ms: number): Promise<void>;
}
