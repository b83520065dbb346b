/**
 * A judge's checks, and nothing else, as a Worker: what they cost is read from the process they run in. The body is the length
 * of a JSON text in four bytes, the text, and the opening.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { verifyHotkey } from '../../../functions/gate/hotkey.ts';
import { checkMm, type MmSample } from '#protocol/challenge/mm.ts';
import { MM_PROFILES } from '#protocol/challenge/suite.ts';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { checkWork, type Work } from '#protocol/challenge/work.ts';

/** A check as the bench asks for it. `keep`: tiles are kept for the next one, as in a flash. */
export type ProofAsk =
  | { what: 'empty' }
  | {
      what: 'mm';
      steps: number;
      opened: number;
      rows: number;
      seed: string;
      shared: string;
      root: string;
      samples: MmSample[];
      keep: boolean;
    }
  | { what: 'mem'; work: Work; root: string; randomness: string }
  | { what: 'signatures'; text: string; login: { signature: string; hotkey: string }; commit: { signature: string; key: string } };

const kept = new Tiles(8);

function answer(ask: ProofAsk, opening: Uint8Array): unknown {
  switch (ask.what) {
    case 'empty':
      return null;
    case 'mm': {
      const profile = { ...MM_PROFILES['mm-8192'], opened: ask.opened, rows: ask.rows };
      const mm = { profile, steps: ask.steps, seed: hexToBytes(ask.seed), shared: hexToBytes(ask.shared) };
      return checkMm(mm, ask.root, ask.samples, opening, ask.keep ? kept : new Tiles(1));
    }
    case 'mem':
      return checkWork(ask.work, ask.root, ask.randomness, opening, kept);
    case 'signatures': {
      const { text, login, commit } = ask;
      const signed = verifyHotkey(text, login.signature, login.hotkey);
      return signed && ed25519.verify(hexToBytes(commit.signature), utf8ToBytes(text), hexToBytes(commit.key)) ? null : 'wrong';
    }
  }
}

export default {
  async fetch(request: Request): Promise<Response> {
    const body = new Uint8Array(await request.arrayBuffer());
    const length = new DataView(body.buffer).getUint32(0);
    const ask = JSON.parse(new TextDecoder().decode(body.subarray(4, 4 + length))) as ProofAsk;
    return Response.json(answer(ask, body.subarray(4 + length)));
  },
};
