/** What an event of Stripe means here. Pure: the signature was checked before. */
import * as z from 'zod/mini';

export type Told =
  /** Money arrived for a checkout; `cents` and `currency` as Stripe counts them. */
  | { kind: 'paid'; checkout: string; session: string; cents: bigint; currency: string }
  | { kind: 'expired'; checkout: string }
  /** For the operator: money that may go back. Nothing is debited for it. */
  | { kind: 'reversal'; what: 'refund' | 'dispute'; object: string }
  | { kind: 'nothing' };

const id = z.string().check(z.regex(/^[A-Za-z0-9_]{1,128}$/));

export const stripeEventSchema = z.object({
  id,
  type: z.string().check(z.regex(/^[a-z0-9_.]{1,100}$/)),
  data: z.object({ object: z.looseObject({}) }),
});
export type StripeEvent = z.infer<typeof stripeEventSchema>;

const sessionSchema = z.object({ id, client_reference_id: z.uuid() });
const paidSchema = z.extend(sessionSchema, {
  payment_status: z.string(),
  amount_total: z.int().check(z.gte(0)),
  currency: z.string().check(z.regex(/^[a-z]{3}$/)),
});
const objectSchema = z.object({ id });

/** A session that is not one of ours (the Stripe account may have others) means nothing. */
export function toldBy({ type, data }: StripeEvent): Told {
  switch (type) {
    case 'checkout.session.completed':
    case 'checkout.session.async_payment_succeeded':
      return paid(data.object);
    case 'checkout.session.expired':
    case 'checkout.session.async_payment_failed': {
      const { success, data: session } = sessionSchema.safeParse(data.object);
      return success ? { kind: 'expired', checkout: session.client_reference_id.toLowerCase() } : NOTHING;
    }
    case 'charge.refunded':
      return reversal('refund', data.object);
    case 'charge.dispute.created':
      return reversal('dispute', data.object);
    default:
      return NOTHING;
  }
}

const NOTHING = { kind: 'nothing' } as const;

/** A session can be completed before its money is there: then `async_payment_succeeded` follows. */
function paid(object: object): Told {
  const { success, data } = paidSchema.safeParse(object);
  if (!success || data.payment_status !== 'paid') return NOTHING;
  return {
    kind: 'paid',
    checkout: data.client_reference_id.toLowerCase(),
    session: data.id,
    cents: BigInt(data.amount_total),
    currency: data.currency,
  };
}

function reversal(what: 'refund' | 'dispute', object: object): Told {
  const { success, data } = objectSchema.safeParse(object);
  return { kind: 'reversal', what, object: success ? data.id : '' };
}
