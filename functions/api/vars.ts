import type { RateState } from '../calls/ports.ts';
import type { Caller } from '../gate/authenticate.ts';

/** What the app's first middleware sets for every route. */
export interface Vars {
  requestId: string;
  /** Of the key that was checked for this request. */
  rate?: RateState;
  /** Whose hotkey signed this request, once that was checked: its nonce is spent by it. */
  signer?: Caller;
}
