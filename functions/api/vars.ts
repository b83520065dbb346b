import type { RateState } from '../calls/ports.ts';

/** What the app's first middleware sets for every route. */
export interface Vars {
  requestId: string;
  /** Of the key that was checked for this request. */
  rate?: RateState;
}
