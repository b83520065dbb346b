/** What every way of running a chute offers. A runtime is made per instance and used once. */
import type { Socket } from 'node:net';
import type { Device, Secrets, VersionSpec } from '#protocol';
import type { Endpoint } from './endpoint.ts';

/** A port of the instance's own loopback that leads to the agent. Only container runtimes have such a loopback. */
export interface Forward {
  port: number;
  /** Takes a connection as an `http.Server` does: `(socket) => server.emit('connection', socket)`. */
  accept: (socket: Socket) => void;
}

export interface RuntimeContext {
  instance: string;
  spec: VersionSpec;
  /** The devices given to it; no other may be seen by it. */
  devices: readonly Device[];
  /** In memory only: never written, never logged, never in an error. */
  secrets: Secrets;
  forwards: readonly Forward[];
  /** Where the instance may keep files; made before `prepare`, removed after `stop`. */
  folder: string;
  /** The packed code folder, fetched and checked, on disk. Throws `StartFailed`. */
  code: () => Promise<string>;
  /** Where the files lie that its version names as `[weights]`; known before `start`. Null: it names none. */
  weights: () => string | null;
  /** One line of what is going on; also keeps the grant alive. */
  progress: (detail: string) => void;
  log: (source: 'out' | 'err' | 'agent', text: string) => void;
  /** The program ended by itself. */
  ended: (detail: string) => void;
  signal: AbortSignal;
}

export interface Runtime {
  /** Brings everything onto this machine that a start needs. */
  prepare(): Promise<void>;
  start(): Promise<void>;
  /** Resolves once the program can serve. */
  ready(): Promise<void>;
  /** Where calls go, once `start` resolved. */
  endpoint(): Endpoint | null;
  /** Resolves once nothing of it runs any more. Never throws; may be called at any time, more than once. */
  stop(graceMs: number): Promise<void>;
}

/** Where a program finds those files. */
export const WEIGHTS_VARIABLE = 'RIPCORD_WEIGHTS';

/** A start that did not work; the message is what the chute's owner sees. */
export class StartFailed extends Error {
  override readonly name = 'StartFailed';
}
