/** A miner's money: what it earned, where it is paid to, and its payouts. Whatever moves money is signed by the hotkey. */
import { Hono, type Context } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import { newCallId } from '../calls/call-id.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticate } from '../gate/authenticate.ts';
import { chuteIdOf } from '../gate/ids.ts';
import { decodeSs58 } from '../gate/ss58.ts';
import { MAXIMUM_NANOUSD, MINIMUM_NANOUSD } from '../payouts/terms.ts';
import { readJson, smallBody } from './body.ts';
import { emissionView } from './miners.ts';
import type { Vars } from './vars.ts';

const BOUNDS = {
  /** Entries of one page at most. */
  entries: 500,
  payouts: 100,
  /** Days that the sums by chute cover at most. */
  days: 30,
} as const;

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

export const earningsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/** `?days=`: what the sums by chute cover, 30 if nothing is said. */
earningsApi.get('/miners/me/earnings', async (c) => {
  const hotkey = await minerOf(c);
  const handle = db.connect(c.env);
  const days = readDays(c.req.query('days'));
  const [sums, chutes, emission] = await Promise.all([
    db.readEarnings(handle, hotkey),
    db.listChuteEarnings(handle, hotkey, days),
    db.readEmission(handle, hotkey),
  ]);
  return c.json({
    hotkey,
    pending_nanousd: String(sums.pending),
    payable_nanousd: String(sums.payable),
    in_flight_nanousd: String(sums.inFlight),
    paid_nanousd: String(sums.paid),
    next_matures_at: sums.nextMaturesAt?.toISOString() ?? null,
    minimum_payout_nanousd: String(MINIMUM_NANOUSD),
    days,
    emission: emissionView(emission),
    chutes: chutes.map(({ chuteId, name, attempts, share }) => ({ chute_id: chuteId, name, attempts, share_nanousd: String(share) })),
  });
});

/** The newest first; `?after=` the `next` of the page before. */
earningsApi.get('/miners/me/earnings/entries', async (c) => {
  const hotkey = await minerOf(c);
  const limit = readLimit(c.req.query('limit'));
  const chute = await readChute(c);
  const rows = await db.listEarningsEntries(db.connect(c.env), { hotkey, chute, after: readPlace(c.req.query('after')), limit });
  const last = rows.at(-1);
  return c.json({
    items: rows.map((row) => ({
      call_id: row.callId,
      attempt: row.attempt,
      chute_id: row.chuteId,
      agent_id: row.agentId,
      outcome: row.outcome,
      cost_nanousd: String(row.cost),
      share_nanousd: String(row.share),
      price_version: row.priceVersion,
      fee_bps: row.feeBps,
      tokens_in: row.tokensIn,
      tokens_out: row.tokensOut,
      started_at: row.startedAt.toISOString(),
      recorded_at: row.recordedAt.toISOString(),
    })),
    next: rows.length < limit || last === undefined ? null : `${last.startedAt.getTime()}.${last.callId}.${last.attempt}`,
  });
});

earningsApi.get('/miners/me/payout-address', async (c) => {
  const hotkey = await minerOf(c);
  return c.json(addressView(hotkey, await db.findPayoutAddresses(db.connect(c.env), hotkey)));
});

const addressSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('tao'), address: z.string().check(z.maxLength(64)) }),
  z.strictObject({ kind: z.literal('operator'), address: z.string().check(z.regex(/^[ -~]{3,200}$/)) }),
]);

/** The first address is in force at once; a change waits, so that whoever stole a hotkey cannot take the money with it. */
earningsApi.put('/miners/me/payout-address', smallBody, async (c) => {
  const hotkey = await signerOf(c);
  const { kind, address } = await readJson(c, addressSchema);
  if (kind === 'tao' && decodeSs58(address) === null)
    throw new RipcordError('invalid_request', { message: 'address: this is no ss58 address with prefix 42.', param: 'address' });
  const handle = db.connect(c.env);
  if (!(await db.askPayoutAddress(handle, { id: crypto.randomUUID(), hotkey, kind, address })))
    throw new RipcordError('rate_limited', { message: 'The address was changed too often lately.', retryAfterMs: 3_600_000 });
  return c.json(addressView(hotkey, await db.findPayoutAddresses(handle, hotkey)));
});

earningsApi.get('/miners/me/payouts', async (c) => {
  const hotkey = await minerOf(c);
  const items = await db.listPayouts(db.connect(c.env), hotkey, BOUNDS.payouts);
  return c.json({ items: items.map(payoutView) });
});

const payoutSchema = z.strictObject({ amount_nanousd: z.optional(z.string().check(z.regex(/^[1-9]\d{0,17}$/))) });

/** Asks for a payout of this much, or of all that is payable. It begins with the next minute. */
earningsApi.post('/miners/me/payouts', smallBody, async (c) => {
  const hotkey = await signerOf(c);
  const { amount_nanousd } = await readJson(c, payoutSchema);
  const handle = db.connect(c.env);
  const [{ payable }, { active }] = await Promise.all([db.readEarnings(handle, hotkey), db.findPayoutAddresses(handle, hotkey)]);
  const most = payable < MAXIMUM_NANOUSD ? payable : MAXIMUM_NANOUSD;
  const nanousd = amount_nanousd === undefined ? most : BigInt(amount_nanousd);
  if (active === null) throw new RipcordError('no_payout_address', { hint: 'Set one with PUT /miners/me/payout-address.' });
  if (nanousd > most)
    throw new RipcordError('not_payable', { message: `${payable} nano-USD are payable, at most ${MAXIMUM_NANOUSD} at once.` });
  if (nanousd < MINIMUM_NANOUSD)
    throw new RipcordError('not_payable', { message: `${payable} nano-USD are payable; a payout is at least ${MINIMUM_NANOUSD}.` });
  const id = newCallId(Date.now(), crypto.getRandomValues(new Uint8Array(16)));
  if (!(await db.insertPayout(handle, { id, hotkey, adapter: active.kind, address: active.address, nanousd })))
    throw new RipcordError('payout_open', { hint: 'GET /miners/me/payouts shows it.' });
  const payout = await db.findPayout(handle, id);
  return c.json(payout === null ? { payout_id: id } : payoutView(payout), 201);
});

/** By a key that may read, or by the hotkey itself. */
async function minerOf(c: Ctx): Promise<string> {
  const { hotkey } = await authenticate(c, 'read');
  if (hotkey === null) throw new RipcordError('insufficient_scope', { message: 'This account has no hotkey.' });
  return hotkey;
}

/** By the hotkey only: a key that leaks must not lead money away. */
async function signerOf(c: Ctx): Promise<string> {
  const { hotkey, claim } = await authenticate(c, 'write');
  if (claim !== null || hotkey === null)
    throw new RipcordError('invalid_signature', { message: 'This is signed by the hotkey; a key may not do it.' });
  return hotkey;
}

function addressView(hotkey: string, { active, waiting }: Awaited<ReturnType<typeof db.findPayoutAddresses>>) {
  const view = (of: db.PayoutAddress | null) =>
    of === null ? null : { kind: of.kind, address: of.address, active_at: of.activeAt.toISOString() };
  return { hotkey, active: view(active), waiting: view(waiting) };
}

function payoutView(payout: db.PayoutRow) {
  const attempt = payout.attempt as { hash?: string } | null;
  return {
    payout_id: payout.id,
    state: payout.state,
    kind: payout.adapter,
    address: payout.address,
    amount_nanousd: String(payout.nanousd),
    rao: payout.rao === null ? null : String(payout.rao),
    extrinsic: attempt?.hash ?? null,
    reason: payout.reason,
    requested_at: payout.requestedAt.toISOString(),
    updated_at: payout.updatedAt.toISOString(),
  };
}

function readLimit(text: string | undefined): number {
  const limit = Number(text ?? 100);
  if (!Number.isInteger(limit) || limit < 1 || limit > BOUNDS.entries)
    throw new RipcordError('invalid_request', { message: `limit: a whole number from 1 to ${BOUNDS.entries}.`, param: 'limit' });
  return limit;
}

function readDays(text: string | undefined): number {
  const days = Number(text ?? BOUNDS.days);
  if (!Number.isInteger(days) || days < 1 || days > BOUNDS.days)
    throw new RipcordError('invalid_request', { message: `days: a whole number from 1 to ${BOUNDS.days}.`, param: 'days' });
  return days;
}

/** `owner/name` or an id. */
async function readChute(c: Ctx): Promise<string | null> {
  const chute = c.req.query('chute');
  if (chute === undefined) return null;
  return chute.includes('/') ? chuteIdOf(chute.replace('/', '-'), c.env) : chute.slice(0, 64);
}

const PLACE = /^(\d{1,15})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d{1,4})$/;

function readPlace(text: string | undefined): db.EntryPlace | null {
  if (text === undefined) return null;
  const [, startedMs, callId, attempt] = PLACE.exec(text) ?? [];
  if (callId === undefined)
    throw new RipcordError('invalid_request', { message: 'after: the next of a page is expected.', param: 'after' });
  return { startedMs: Number(startedMs), callId, attempt: Number(attempt) };
}
