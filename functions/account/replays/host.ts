/** The platform under `Replays`: a table of the object, its clock, and the conductor of a call bound to this account. */
import { RpcTarget } from 'cloudflare:workers';
import { conduct } from '../../calls/conduct.ts';
import type { Call } from '../../calls/call.ts';
import type { AccountPort, ByteSource, KeyClaim, RelayAnswer, Scope } from '../../calls/ports.ts';
import type { Reply } from '../../calls/pump.ts';
import { worldOf } from '../../calls/world.ts';
import type { Env } from '../../env.ts';
import type { AuthorizeAnswer, KeyAnswer } from '../core.ts';
import type { Answered, Streamed, Unanswered } from './ask.ts';
import type { Host } from './replays.ts';
import type { ReplayRow, ReplayState } from './table.ts';

/** The object that all of it happens in. */
export interface Owner extends AccountPort {
  authorize(claim: KeyClaim, scope: Scope): Promise<AuthorizeAnswer>;
  thisKey(claim: KeyClaim): Promise<KeyAnswer>;
  readonly registered: boolean;
  /** The alarm may have to ring earlier. */
  arm(): void;
}

interface Stored {
  [column: string]: string | number;
  name: string;
  print: string;
  call: string;
  state: string;
  cut: number;
  bytes: number;
  expires_at: number;
}

export function hostOf(ctx: DurableObjectState, env: Env, owner: Owner): Host {
  const background = (work: Promise<unknown>): void => ctx.waitUntil(work);
  return {
    ...tableOf(ctx.storage.sql),
    now: () => Date.now(),
    sleep: (ms, signal) => scheduler.wait(ms, { signal }),
    arm: () => owner.arm(),
    registered: () => owner.registered,
    refusal: async (claim, scope) => {
      // What else a key may do is the route's to check.
      const answer = scope === 'any' ? await owner.thisKey(claim) : await owner.authorize(claim, scope);
      if (answer.ok) return null;
      const { code, retryAfterMs, rate } = answer;
      return { code, detail: { ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ...(rate === undefined ? {} : { rate }) } };
    },
    conduct: (call, opened, attempted) => conductHere(call, env, owner, { opened, attempted, background }),
    background,
  };
}

/** An object that keeps no answer has no table. */
function tableOf(sql: SqlStorage): Pick<Host, 'rows' | 'put' | 'drop' | 'sealed'> {
  let made = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'replays'").toArray().length > 0;
  const make = (): void => {
    if (made) return;
    sql.exec(
      'CREATE TABLE replays (name TEXT PRIMARY KEY, print TEXT, call TEXT, state TEXT, cut INTEGER, bytes INTEGER, expires_at INTEGER, sealed BLOB)',
    );
    made = true;
  };
  return {
    rows: () => {
      if (!made) return [];
      return sql.exec<Stored>('SELECT name, print, call, state, cut, bytes, expires_at FROM replays').toArray().map(rowOf);
    },
    put: (row, sealed) => {
      make();
      const { name, print, call, state, cut, bytes, expiresAt } = row;
      sql.exec(
        'INSERT OR REPLACE INTO replays VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        name,
        print,
        call,
        state,
        cut ? 1 : 0,
        bytes,
        expiresAt,
        sealed === null ? null : new Uint8Array(sealed).buffer,
      );
    },
    drop: (name) => {
      if (made) sql.exec('DELETE FROM replays WHERE name = ?', name);
    },
    sealed: (name) => {
      const found = sql.exec<{ sealed: ArrayBuffer | null }>('SELECT sealed FROM replays WHERE name = ?', name).toArray()[0]?.sealed;
      return found === undefined || found === null ? null : new Uint8Array(found);
    },
  };
}

function rowOf({ name, print, call, state, cut, bytes, expires_at }: Stored): ReplayRow {
  return { name, print, call, state: state as ReplayState, cut: cut === 1, bytes, expiresAt: expires_at };
}

interface Notes {
  opened: () => void;
  attempted: () => void;
  background: (work: Promise<unknown>) => void;
}

/** The same conductor as a Worker's, with the account at hand, noting what must be known if this object goes down. */
function conductHere(call: Call, env: Env, owner: Owner, { opened, attempted, background }: Notes): Promise<Reply> {
  const world = worldOf(env, background);
  const account: AccountPort = {
    open: async (ask) => {
      const answer = await owner.open(ask);
      if (answer.ok) opened();
      return answer;
    },
    close: (id, attempts, code) => owner.close(id, attempts, code),
    widen: (id, agents) => owner.widen(id, agents),
    settle: (settlements) => owner.settle(settlements),
    extend: (id, tokens) => owner.extend(id, tokens),
    rent: (ask) => owner.rent(ask),
  };
  return conduct(call, {
    ...world,
    account: () => account,
    miner: (agent) => {
      const miner = world.miner(agent);
      const noted = (answer: RelayAnswer): RelayAnswer => {
        if (answer.kind === 'reply' || (answer.kind === 'failed' && answer.handed)) attempted();
        return answer;
      };
      return {
        ...miner,
        relay: (ask, body, signal) =>
          miner.relay(ask, body, signal).then(noted, (error: unknown) => {
            attempted();
            throw error;
          }),
      };
    },
  });
}

type Streaming = Extract<Answered<ByteSource>, { kind: 'answer' }>;

/** For RPC. */
export function streamed<Given extends Answered<ByteSource> | Unanswered>(given: Given): Answered<Streamed> | Exclude<Given, Streaming> {
  if (!isStreaming(given)) return given as Exclude<Given, Streaming>;
  return { ...given, answer: { bytes: streamOf(given.answer), seat: new Seat(given.answer) } };
}

function isStreaming(given: Answered<ByteSource> | Unanswered): given is Streaming {
  return given.kind === 'answer';
}

/** A client's place at an answer: given up by its Worker, or with it. A stream alone would tell so only when it is written to. */
class Seat extends RpcTarget {
  private readonly source: ByteSource;

  constructor(source: ByteSource) {
    super();
    this.source = source;
  }

  [Symbol.dispose](): void {
    void this.source.cancel();
  }
}

/** For RPC, which carries streams of bytes only; what is enqueued is given away, and others read the same bytes. */
function streamOf(source: ByteSource): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      const part = await source.read();
      if (!part.done) return controller.enqueue(new Uint8Array(part.value));
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: () => source.cancel(),
  });
}
