/** What chutes cost: their prices in time, and what a call would cost before it is made. */
import { Hono, type Context } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import { LIMITS, priceSchema } from '#protocol';
import { holdOf } from '../account/holds.ts';
import { chuteNamed } from '../calls/names.ts';
import type { Snapshot } from '../calls/ports.ts';
import { chatShape, ownTokenShape, type TokenShape } from '../calls/shape.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticate, type Caller } from '../gate/authenticate.ts';
import { factsOf } from '../prices/facts.ts';
import { inForce } from '../prices/history.ts';
import { termsAt } from '../prices/now.ts';
import { quoteLines, quoteOf } from '../prices/cost.ts';
import type { Terms } from '../prices/terms.ts';
import { accountStub, chuteStub } from '../stubs.ts';
import { bodyAtMost, readJson, smallBody } from './body.ts';
import { CHUTE_PATHS, owned, recorded, visible } from './chute-access.ts';
import { priceItem } from './chute-items.ts';
import { availableTo, mayAsk } from './may-ask.ts';
import { bps, millis, note, time } from './price-fields.ts';
import { pricesOnRecord, priceVersion, setPrice } from './set-price.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

export const pricesApi = new Hono<{ Bindings: Env; Variables: Vars }>();

const PAGE = 200;
const INFERENCE = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings']);

const askSchema = z.strictObject({
  price: priceSchema,
  discount_bps: z._default(bps, 0),
  starts_at: time,
  ends_at: time,
  note: z._default(note, ''),
});

for (const at of CHUTE_PATHS) {
  /** The last to start first; `?after=` the id of the last one of the page before. */
  pricesApi.get(`${at}/prices`, async (c) => {
    const { chute } = await visible(c, await authenticate(c, 'read'));
    const now = Date.now();
    const [rows, current] = await Promise.all([
      recorded((base) => db.priceHistory(base, chute, PAGE, c.req.query('after') ?? null), c.env),
      pricesOnRecord(c.env, chute, now),
    ]);
    const holds = inForce(current, now)?.id ?? null;
    const items = rows.map((row) => priceItem(priceVersion(row), row.id === holds));
    return c.json({ items, next: rows.length < PAGE ? null : (rows.at(-1)?.id ?? null) });
  });

  pricesApi.put(`${at}/price`, smallBody, async (c) => {
    const { chute } = await owned(c, 'write');
    const { price, discount_bps, starts_at, ends_at, note } = await readJson(c, askSchema);
    const ask = { price, discountBps: discount_bps, startsAt: millis(starts_at), endsAt: millis(ends_at), note };
    const { set, created } = await setPrice(c.env, chute, ask, Date.now());
    return c.json({ chute_id: chute, ...priceItem(set, set.startsAt <= Date.now()) }, created ? 201 : 200);
  });
}

/** The request one would send, with the path in `?path=`; nothing is called. */
pricesApi.post('/quote', bodyAtMost(LIMITS.bufferedBodyBytes), async (c) => {
  const caller = await mayAsk(c);
  const body = new Uint8Array(await c.req.arrayBuffer());
  const request = await named(c, body);
  const snapshot = request.chute === null ? null : await chuteStub(c.env, request.chute).snapshot();
  if (snapshot === null || !mayCall(snapshot, caller.account)) throw new RipcordError('chute_not_found');
  const terms = await ownTerms(c.env, caller, snapshot);
  const facts = factsOf(terms, { body, maxTokens: request.maxTokens, timeoutMs: snapshot.config.timeout * 1000 });
  const most = quoteOf(terms, facts);
  const hold = holdOf(terms, facts, request.tokens !== null && snapshot.config.template === 'openai').amount;
  const available = await availableTo(c.env, caller.account);
  return c.json({
    chute_id: snapshot.chute,
    name: snapshot.name,
    price_version: terms.version,
    terms: { price: terms.price, discount_bps: terms.discountBps },
    most_nanousd: String(most),
    hold_nanousd: String(hold),
    lines: linesOf(terms, facts, most),
    available_nanousd: available === null ? null : String(available),
    fits: available === null ? null : hold <= available,
  });
});

function mayCall({ public: isPublic, owner, shared }: Snapshot, account: string): boolean {
  return isPublic || owner === account || shared?.includes(account) === true;
}

/** The chute that a request would go to, and what the request says of its reply. */
async function named(c: Ctx, body: Uint8Array): Promise<TokenShape & { chute: string | null }> {
  const path = c.req.query('path') ?? '/v1/chat/completions';
  if (INFERENCE.has(path)) {
    const { model, maxTokens, tokens } = chatShape(path, body);
    return { chute: await chuteNamed(model, c.env), maxTokens, tokens };
  }
  const [, name, rest = '/'] = /^\/call\/(cht_[^/?]+|[^/?]+\/[^/?]+)(.*)$/.exec(path) ?? [];
  if (name === undefined)
    throw new RipcordError('invalid_request', {
      message: 'path: the path of a call is expected, /v1/chat/completions or /call/{owner}/{name}/….',
      param: 'path',
    });
  return { chute: await chuteNamed(name, c.env), ...ownTokenShape(rest, body) };
}

function ownTerms(env: Env, caller: Caller, snapshot: Snapshot): Promise<Terms> {
  return accountStub(env, caller.account).termsFor(snapshot.chute, termsAt(snapshot.terms, Date.now()));
}

function linesOf(terms: Terms, facts: Parameters<typeof quoteLines>[1], most: bigint) {
  const lines = quoteLines(terms, facts).filter((line) => line.nanousd > 0n);
  const sum = lines.reduce((all, line) => all + line.nanousd, 0n);
  return [
    ...lines.map(({ what, units, unitPrice, nanousd }) => ({
      what,
      units: Number(units),
      unit_price_nanousd: String(unitPrice),
      nanousd: String(nanousd),
    })),
    ...(sum === most ? [] : [{ what: 'discount', units: terms.discountBps, unit_price_nanousd: null, nanousd: String(most - sum) }]),
  ];
}
