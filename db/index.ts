/** Postgres, one function per intention. */
export * from './client.ts';
export * from './errors.ts';
export * from './accounts.ts';
export * from './keys.ts';
export * from './chutes.ts';
export * from './prices.ts';
export * from './miners.ts';
export * from './usage.ts';
export * from './calls.ts';
export * from './leases.ts';
export * from './ledger.ts';
export * from './deposits.ts';
export * from './payouts.ts';
export * from './money-views.ts';
export * from './metrics.ts';
export * from './checkouts.ts';
export * from './audit.ts';
