/**
 * Who may upload the opening of a challenge: a bearer that the edge makes for one agent, one challenge and some seconds. It names the
 * agent, so that its object is found without a look-up. Pure.
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { sameText } from './constant-time.ts';

export interface OpeningTokens {
  /** `until`: unix ms. */
  make(this: void, id: string, agent: string, until: number): string;
  /** The agent that the token is of, for this challenge; null: it is none, or its time is over. */
  agentOf(token: string, id: string, now: number): string | null;
}

export function openingTokens(edgeSecret: string): OpeningTokens {
  const key = sha256(utf8ToBytes(`challenge/opening\n${edgeSecret}`));
  const make = (id: string, agent: string, until: number): string =>
    `${agent}.${until}.${bytesToHex(hmac(sha256, key, utf8ToBytes(`${id}\n${agent}\n${until}`)))}`;
  return {
    make,
    agentOf(token, id, now) {
      const [, agent, until] = /^([a-z0-9_]{1,64})\.([0-9]{1,15})\.[0-9a-f]{64}$/.exec(token) ?? [];
      if (agent === undefined || until === undefined) return null;
      return sameText(token, make(id, agent, Number(until))) && now < Number(until) ? agent : null;
    },
  };
}
