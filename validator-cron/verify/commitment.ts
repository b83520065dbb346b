/** Whose word a commitment is: the signed request that it came by says so by itself (pure but for the signature check that is given). */
import * as z from 'zod/mini';
import { sha256Of } from '#protocol/canonical.ts';
import { commitEpochSchema } from '#protocol/epoch.ts';
import { requestText } from '#protocol/hello.ts';
import { firstDifference } from './compare.ts';
import type { Judgement } from './edge.ts';
import type { Difference } from './outcome.ts';

type VerifyText = (text: string, signature: string, hotkey: string) => boolean;

/** Null: the judge's hotkey signed exactly this. */
export function wrongCommitment(judgement: Judgement, epoch: number, verify: VerifyText): Difference | null {
  const { judge, signed, evidence, findings, summary, weights } = judgement;
  const at = `commitment of ${judge}`;
  const { origin, method, target, timestamp, nonce } = signed;
  const text = requestText({ origin, method, target, bodySha256: sha256Of(signed.body), timestampMs: Number(timestamp), nonce });
  if (target !== '/audit/epochs' || signed.hotkey !== judge || !verify(text, signed.signature, judge))
    return { at: `${at}: signature`, due: 'signed by the judge', given: signed.signature };
  const body = z.safeParse(commitEpochSchema, parseJson(signed.body));
  if (!body.success) return { at: `${at}: body`, due: 'a commitment', given: signed.body.slice(0, 80) };
  return firstDifference(at, body.data, { epoch, evidence, findings, summary, weights });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
