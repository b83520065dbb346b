/**
 * The entry for a deployment whose Postgres is reached through Hyperdrive: the same Worker, with the native driver. Needs
 * a HYPERDRIVE binding and the compatibility flag `nodejs_compat`.
 */
import { useNativeDriver } from '#db';
import { query } from '../db/native.ts';

useNativeDriver(query);

export * from './index.ts';
export { default } from './index.ts';
