/**
 * The one that signs for a hotkey on a subnet: a Durable Object, so that there is one however many crons run. It remembers what
 * it signed, and which runtimes it knows.
 */
import { DurableObject } from 'cloudflare:workers';
import { beaconChain, type BeaconEnv } from '../../functions/beacon/client.ts';
import { openChain, type ChainEnv } from '../../functions/chain/chain.ts';
import { KNOWN, type Shape } from '../../functions/chain/shape.ts';
import { hotkeyFromSeed } from '../hotkey.ts';
import { shapeSchema, submissionSchema } from './kept.ts';
import type { Submission } from './plan.ts';
import { post, type PostAsk, type PostReport, type Submissions } from './post.ts';
import { runtimeShape } from './runtime.ts';

export interface SignerEnv extends ChainEnv, BeaconEnv {
  SIGNER: DurableObjectNamespace<SignerObject>;
  JUDGE_SEED: string;
  /** Of the subnet that weights are for. */
  NETUID?: string;
}

/** A type, because an interface is not a row to the platform. */
type Row = { body: string };

/** Submissions and runtimes that are kept. */
const KEPT = { submissions: 64, runtimes: 8 } as const;

/** Posts the weights of an epoch, or goes on with it: call it each tick until it is confirmed. Never throws for what the chain does. */
export async function postWeights(env: SignerEnv, ask: PostAsk): Promise<PostReport> {
  const netuid = netuidOf(env);
  if (netuid === null) return { state: 'refused', why: 'no subnet is configured: set CHAIN_URL and NETUID' };
  const { ss58 } = hotkeyFromSeed(env.JUDGE_SEED);
  return env.SIGNER.getByName(`${netuid}/${ss58}`).post(ask);
}

export class SignerObject extends DurableObject<SignerEnv> {
  private busy = false;

  constructor(ctx: DurableObjectState, env: SignerEnv) {
    super(ctx, env);
    ctx.storage.sql.exec(
      'create table if not exists submissions (genesis text, epoch integer, body text not null, primary key (genesis, epoch))',
    );
    ctx.storage.sql.exec(
      'create table if not exists runtimes (genesis text, spec integer, known text, body text not null, primary key (genesis, spec, known))',
    );
  }

  /** One at a time: who comes while it works is told to wait. */
  async post(ask: PostAsk): Promise<PostReport> {
    if (this.busy) return { state: 'waiting', why: 'another tick is posting' };
    this.busy = true;
    try {
      return await this.postAlone(ask);
    } finally {
      this.busy = false;
    }
  }

  private async postAlone(ask: PostAsk): Promise<PostReport> {
    const chain = openChain(this.env);
    const netuid = netuidOf(this.env);
    if (chain === null || netuid === null) return { state: 'refused', why: 'no subnet is configured: set CHAIN_URL and NETUID' };
    return post(
      {
        chain,
        netuid,
        hotkey: hotkeyFromSeed(this.env.JUDGE_SEED),
        beacon: beaconChain(this.env),
        submissions: this.submissions(chain.genesis),
        shape: (asked, { runtime, head }) => this.shape(chain.genesis, runtime.spec, () => runtimeShape(asked, head.hash)),
        dice: () => ({ secret: random(32), sigma: random(32), nonce: random(12) }),
      },
      ask,
    );
  }

  private submissions(genesis: string): Submissions {
    const { sql } = this.ctx.storage;
    const one = (where: string, ...values: SqlStorageValue[]): Submission | null => {
      const [row] = sql.exec<Row>(`select body from submissions where genesis = ? ${where}`, genesis, ...values);
      return row === undefined ? null : submissionSchema.parse(JSON.parse(row.body));
    };
    return {
      newest: () => one('order by epoch desc limit 1'),
      of: (epoch) => one('and epoch = ?', epoch),
      put: async (submission) => {
        sql.exec('insert or replace into submissions values (?, ?, ?)', genesis, submission.epoch, JSON.stringify(submission));
        sql.exec(
          'delete from submissions where genesis = ? and epoch not in (select epoch from submissions where genesis = ? order by epoch desc limit ?)',
          genesis,
          genesis,
          KEPT.submissions,
        );
        await this.ctx.storage.sync();
      },
    };
  }

  /** A runtime is looked at once, by code that knows the same. */
  private async shape(genesis: string, spec: number, look: () => Promise<Shape>): Promise<Shape> {
    const { sql } = this.ctx.storage;
    const [row] = sql.exec<Row>('select body from runtimes where genesis = ? and spec = ? and known = ?', genesis, spec, KNOWN);
    if (row !== undefined) return shapeSchema.parse(JSON.parse(row.body));
    const shape = await look();
    sql.exec('insert or replace into runtimes values (?, ?, ?, ?)', genesis, spec, KNOWN, JSON.stringify(shape));
    sql.exec('delete from runtimes where rowid not in (select rowid from runtimes order by spec desc limit ?)', KEPT.runtimes);
    return shape;
  }
}

function netuidOf({ CHAIN_URL, NETUID }: SignerEnv): number | null {
  const netuid = Number(NETUID);
  return CHAIN_URL && NETUID !== undefined && Number.isInteger(netuid) && netuid >= 0 && netuid < 65_536 ? netuid : null;
}

function random(bytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(bytes));
}
