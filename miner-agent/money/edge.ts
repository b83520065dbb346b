/** A miner's money at the edge: each request signed by the hotkey, each answer read as far as it is shown. */
import * as z from 'zod/mini';
import { signedHeaders } from '../identity/signed-request.ts';
import type { Hotkey } from '../identity/hotkey.ts';
import { failureOf, type Answer, type Outbound } from '../net/outbound.ts';

/** The edge said no, with a code; or it is not there (`unreachable`). */
export class MoneyRefused extends Error {
  override readonly name = 'MoneyRefused';
  readonly code: string;
  readonly hint: string;
  constructor(code: string, message: string, hint = '') {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

const amount = z.string().check(z.regex(/^-?\d{1,19}$/));
const time = z.nullable(z.string());

export const earningsSchema = z.looseObject({
  pending_nanousd: amount,
  payable_nanousd: amount,
  in_flight_nanousd: amount,
  paid_nanousd: amount,
  next_matures_at: time,
  days: z.number(),
  /** Rao of the subnet's coin that the chain gave; an older edge does not tell. */
  emission: z.optional(z.looseObject({ last_rao: amount, total_rao: amount, epochs: z.number() })),
  chutes: z.array(z.looseObject({ chute_id: z.string(), name: z.nullable(z.string()), attempts: z.number(), share_nanousd: amount })),
});

const payoutSchema = z.looseObject({
  payout_id: z.string(),
  state: z.string(),
  kind: z.string(),
  address: z.string(),
  amount_nanousd: amount,
  rao: z.nullable(amount),
  extrinsic: z.nullable(z.string()),
  reason: z.string(),
  requested_at: z.string(),
});
export const payoutsSchema = z.looseObject({ items: z.array(payoutSchema) });

const addressSchema = z.nullable(z.looseObject({ kind: z.string(), address: z.string(), active_at: z.string() }));
export const addressesSchema = z.looseObject({ hotkey: z.string(), active: addressSchema, waiting: addressSchema });

export type EarningsAnswer = z.output<typeof earningsSchema>;
export type PayoutAnswer = z.output<typeof payoutSchema>;
export type AddressesAnswer = z.output<typeof addressesSchema>;

const problemSchema = z.looseObject({ code: z.string(), detail: z.string(), hint: z.optional(z.string()) });

const ANSWER_MS = 30_000;
const ANSWER_BYTES = 1024 * 1024;

export interface MoneyEdge {
  /** The edge's origin, without a slash at the end. */
  api: string;
  hotkey: Hotkey;
  outbound: Outbound;
}

/** `days`: what the sums by chute cover, 1 to 30. */
export const readEarnings = (edge: MoneyEdge, days = 30) => ask(edge, 'GET', `/miners/me/earnings?days=${days}`, earningsSchema);
export const listPayouts = (edge: MoneyEdge) => ask(edge, 'GET', '/miners/me/payouts', payoutsSchema);
export const readAddresses = (edge: MoneyEdge) => ask(edge, 'GET', '/miners/me/payout-address', addressesSchema);

export function requestPayout(edge: MoneyEdge, nanousd: bigint | null): Promise<PayoutAnswer> {
  return ask(edge, 'POST', '/miners/me/payouts', payoutSchema, nanousd === null ? {} : { amount_nanousd: String(nanousd) });
}

export function setAddress(edge: MoneyEdge, kind: 'tao' | 'operator', address: string): Promise<AddressesAnswer> {
  return ask(edge, 'PUT', '/miners/me/payout-address', addressesSchema, { kind, address });
}

/** Something that everybody may ask, so nothing is signed; with a body it is a POST. Throws `MoneyRefused`. */
export async function readPublic<T extends z.ZodMiniType>(
  { api, outbound }: Pick<MoneyEdge, 'api' | 'outbound'>,
  target: string,
  schema: T,
  json?: object,
): Promise<z.output<T>> {
  const body =
    json === undefined ? {} : { method: 'POST' as const, body: JSON.stringify(json), headers: { 'content-type': 'application/json' } };
  const ask = { timeoutMs: ANSWER_MS, maxBytes: ANSWER_BYTES, ...body };
  return read(api, await heard(api, outbound.ask(new URL(api + target), ask)), schema);
}

/** Throws `MoneyRefused`. */
async function ask<T extends z.ZodMiniType>(
  { api, hotkey, outbound }: MoneyEdge,
  method: 'GET' | 'POST' | 'PUT',
  target: string,
  schema: T,
  json?: object,
): Promise<z.output<T>> {
  const body = json === undefined ? null : JSON.stringify(json);
  const signed = signedHeaders(hotkey, { origin: api, method, target, ...(body === null ? {} : { body }) });
  const headers = body === null ? signed : { ...signed, 'content-type': 'application/json' };
  const url = new URL(api + target);
  const reply = await heard(api, outbound.ask(url, { method, headers, body, timeoutMs: ANSWER_MS, maxBytes: ANSWER_BYTES }));
  return read(api, reply, schema);
}

function read<T extends z.ZodMiniType>(api: string, reply: Answer, schema: T): z.output<T> {
  const value = parse(reply.text);
  if (!reply.ok) throw refusal(reply.status, value);
  const parsed = z.safeParse(schema, value);
  if (!parsed.success) throw new MoneyRefused('refused', `${api} answered something else than a Ripcord edge does.`);
  return parsed.data;
}

async function heard(api: string, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    throw new MoneyRefused('unreachable', `${api} does not answer (${failureOf(error)}).`, 'Is this the address of the edge?');
  }
}

function refusal(status: number, value: unknown): MoneyRefused {
  const problem = z.safeParse(problemSchema, value);
  if (!problem.success) return new MoneyRefused('refused', `The edge answered ${status} without a reason.`);
  const { code, detail, hint } = problem.data;
  return new MoneyRefused(code, detail, hint ?? '');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
