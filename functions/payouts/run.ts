/**
 * Pays miners: each run takes every open payout as far as it goes now. Money moves in the statement that changes the
 * payout's state, what is signed is stored before it is sent, and it is sent at most once: what became of it is read from
 * finalized blocks. A crash between any two lines is a pause.
 */
import * as db from '#db';
import { openChain, type Chain, type ChainEnv } from '../chain/chain.ts';
import { hexOf } from '../chain/rpc.ts';
import { event, whyOf } from '../events.ts';
import { decodeSs58 } from '../gate/ss58.ts';
import { readOutcomes, type Outcome } from './outcomes.ts';
import { SignerError, askSigner, type SignerEnv } from './signer.ts';
import { judgeSigned, nextStep, type Attempt, type Step } from './step.ts';
import { ASSET, RATE_MAX_AGE_MS } from '../rates/terms.ts';
import { RUN } from './terms.ts';

export type PayoutsEnv = db.DatabaseEnv & ChainEnv & SignerEnv;

interface Run {
  env: PayoutsEnv;
  handle: db.Database;
  /** Null: none is configured, or it does not answer. */
  chain: { node: Chain; finalized: number } | null;
  hasRate: boolean;
  outcomes: Map<string, Outcome>;
  /** Signatures it may still ask for. */
  signatures: number;
}

/** One run; the number of steps it took. Throws the first failure, after every payout had its turn. */
export async function runPayouts(env: PayoutsEnv): Promise<number> {
  const handle = db.connect(env);
  const open = await db.listOpenPayouts(handle, RUN.payouts);
  if (open.length === 0) return 0;
  const failures: unknown[] = [];
  const run: Run = { env, handle, chain: null, hasRate: false, outcomes: new Map(), signatures: RUN.signed };
  run.hasRate = (await db.freshRate(handle, ASSET, RATE_MAX_AGE_MS)) !== null;
  await lookUp(run, open).catch((error: unknown) => failures.push(error));
  let steps = 0;
  // Again, as how far the chain was read is noted with them.
  for (const payout of await db.listOpenPayouts(handle, RUN.payouts)) {
    try {
      steps += await advance(run, payout);
    } catch (error) {
      event('payout_stuck', { payout: payout.id, why: whyOf(error, 200) });
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return steps;
}

/** What the chain has to say, once for all payouts of the run. */
async function lookUp(run: Run, open: readonly db.PayoutRow[]): Promise<void> {
  const node = openChain(run.env);
  if (node === null) return;
  const { number: finalized } = await node.finalizedHead();
  run.chain = { node, finalized };
  const sent = open.flatMap(({ id, state, attempt }) => (state === 'submitted' ? [{ id, attempt: attempt as Attempt }] : []));
  run.outcomes = await readOutcomes(run.handle, node, sent, finalized);
}

/** As far as it goes; each step is decided on the row as it is then. */
async function advance(run: Run, first: db.PayoutRow): Promise<number> {
  let steps = 0;
  for (let payout: db.PayoutRow | null = first; payout !== null; payout = await db.findPayout(run.handle, first.id)) {
    const step = nextStep({
      state: payout.state,
      adapter: payout.adapter,
      attempt: payout.attempt as Attempt | null,
      hasRate: run.hasRate,
      outcome: run.outcomes.get(payout.id) ?? null,
    });
    if (!(await take(run, payout, step))) return steps;
    steps++;
  }
  return steps;
}

/** False: it waits, or another run was faster. */
async function take(run: Run, payout: db.PayoutRow, step: Step): Promise<boolean> {
  switch (step.kind) {
    case 'wait':
      return false;
    case 'begin':
      return begin(run, payout);
    case 'hand_over':
      return told('payout_submitted', payout, await db.submitPayout(run.handle, payout.id, null));
    case 'sign':
      return signAndSend(run, payout);
    case 'paid':
      return end(run, payout, 'submitted', { state: 'paid', reason: '' });
    case 'fail':
      return end(run, payout, 'submitted', { state: 'failed', reason: step.reason });
  }
}

async function begin({ handle }: Run, { id }: db.PayoutRow): Promise<boolean> {
  try {
    const of = { id, transferId: crypto.randomUUID(), rateMaxAgeMs: RATE_MAX_AGE_MS };
    return told('payout_begun', { id }, await db.beginPayout(handle, of));
  } catch (error) {
    if (!db.isUncovered(error)) throw error;
    return told('payout_failed', { id }, await db.dropPayout(handle, id, 'less is payable by now'));
  }
}

async function signAndSend(run: Run, payout: db.PayoutRow): Promise<boolean> {
  const { env, handle, chain } = run;
  const to = decodeSs58(payout.address);
  if (chain === null || run.signatures-- <= 0 || to === null || payout.rao === null) return false;
  const signed = await askSigner(env, { id: payout.id, to: payout.address, rao: payout.rao }).catch((error: unknown) => {
    if (error instanceof SignerError && error.away) run.signatures = 0;
    throw error;
  });
  const verdict = judgeSigned(signed, { to, rao: payout.rao }, chain.finalized);
  // Nothing was sent before it was stored, so one that is over by now never happened.
  if (verdict.kind === 'expired') return end(run, payout, 'begun', { state: 'failed', reason: 'it was signed too long ago' });
  if (verdict.kind === 'wrong') throw new SignerError(`what the signer signed is not sent: ${verdict.reason}`);
  const extrinsic = hexOf(signed.extrinsic);
  const attempt: Attempt = { extrinsic, hash: hexOf(signed.hash), birth: signed.birth, death: signed.death, read: signed.birth - 1 };
  if (!told('payout_submitted', payout, await db.submitPayout(handle, payout.id, attempt))) return false;
  await chain.node.submit(extrinsic);
  return true;
}

async function end({ handle }: Run, payout: db.PayoutRow, from: 'begun' | 'submitted', how: db.PayoutEnd): Promise<boolean> {
  const of = { id: payout.id, from, adapter: payout.adapter, end: how, transferId: crypto.randomUUID() };
  return told(how.state === 'paid' ? 'payout_paid' : 'payout_failed', payout, await db.endPayout(handle, of));
}

function told(name: 'payout_begun' | 'payout_submitted' | 'payout_paid' | 'payout_failed', { id }: { id: string }, done: boolean): boolean {
  if (done) event(name, { payout: id });
  return done;
}
