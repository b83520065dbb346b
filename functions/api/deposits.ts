/** Money in from the chain, as an account sees it: where to send it, and what came. */
import { Hono } from 'hono';
import * as db from '#db';
import { FINNEY, genesisOf } from '../chain/chain.ts';
import { depositAddress } from '../deposits/address.ts';
import { MINIMUM_RAO } from '../deposits/terms.ts';
import { ASSET, RATE_MAX_AGE_MS } from '../rates/terms.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import type { Vars } from './vars.ts';

const PAGE = 100;

export const depositsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/** The address is this account's for ever. It is shown only once blocks are followed, so that nothing sent there is missed. */
depositsApi.get('/accounts/me/deposit-address', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const { DEPOSIT_MASTER, CHAIN_URL } = c.env;
  const derived = DEPOSIT_MASTER === undefined || CHAIN_URL === undefined ? null : depositAddress(DEPOSIT_MASTER, account);
  if (derived === null) throw new RipcordError('unavailable', { message: 'Deposits are not configured.', hint: 'Pay in another way.' });
  const handle = db.connect(c.env);
  const genesis = genesisOf(c.env);
  const [address, rate] = await Promise.all([
    db.bindDepositAddress(handle, genesis, account, derived),
    db.freshRate(handle, ASSET, RATE_MAX_AGE_MS),
  ]);
  if (address === null)
    throw new RipcordError('unavailable', {
      message: 'The chain is not followed yet.',
      hint: 'Ask again in a minute.',
      retryAfterMs: 60_000,
    });
  return c.json({
    address,
    network: genesis === FINNEY ? 'finney' : genesis,
    asset: ASSET,
    minimum_rao: String(MINIMUM_RAO),
    confirmations: 'finalized',
    rate: rate === null ? null : { nanousd: String(rate.nanousd), source: rate.source, at: rate.at.toISOString() },
  });
});

/** `seen` waits for a fresh exchange rate; `dust` is below the minimum and stays so. */
depositsApi.get('/accounts/me/deposits', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const items = await db.listDeposits(db.connect(c.env), account, PAGE);
  return c.json({
    items: items.map((d) => ({
      block: d.blockNumber,
      block_hash: d.blockHash,
      event_index: d.eventIndex,
      address: d.address,
      asset: ASSET,
      rao: String(d.rao),
      state: d.state,
      amount_nanousd: d.nanousd === null ? null : String(d.nanousd),
      rate_nanousd: d.rate === null ? null : String(d.rate),
      seen_at: d.seenAt.toISOString(),
      credited_at: d.creditedAt?.toISOString() ?? null,
    })),
  });
});
