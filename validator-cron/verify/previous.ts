/** The summaries of the epochs before, of one judge, each known by the hash that the one after it names. */
import * as z from 'zod/mini';
import { EPOCH_LIMITS, summarySchema, type Summary } from '#protocol/epoch.ts';
import { sha256Of } from '#protocol/canonical.ts';
import type { Edge } from './edge.ts';
import { Different, Missing } from './outcome.ts';

const NO_HASH = '0'.repeat(64);
/** Pages of epochs that are looked through. */
const PAGES = 20;

/**
 * Those of the window, oldest first. Every one that the judge committed to there must be the one that the next names: leaving out an epoch
 * would leave out what was found in it. Throws `Missing`, `Different`.
 */
export async function previousSummaries(
  edge: Pick<Edge, 'epochsBefore' | 'bytesOf'>,
  of: { judge: string; epoch: number; previous: string; since: number },
): Promise<Summary[]> {
  const found: Summary[] = [];
  // The oldest of them names one of its own window at most.
  const last = of.since - (of.epoch - of.since);
  let { epoch, previous } = of;
  for (let page = 0; page < PAGES; page++) {
    const items = await edge.epochsBefore(epoch);
    for (const item of items) {
      const inside = item.epoch > of.since;
      if (item.epoch <= last || (!inside && (previous === NO_HASH || found.length === 0))) return ended(found, previous);
      epoch = item.epoch;
      const bytes =
        item.hash === null ? null : await edge.bytesOf(`/epochs/${item.epoch}/judges/${of.judge}/summary`, EPOCH_LIMITS.summaryBytes);
      // An epoch that this judge did not judge is no link of its chain.
      if (bytes === null) continue;
      const given = sha256Of(bytes);
      if (given !== previous) throw new Different({ at: `summary of epoch ${item.epoch}: hash`, due: previous, given });
      // The first one before the window shows that none is missing in it.
      if (!inside) return found.toReversed();
      const summary = readSummary(bytes);
      found.push(summary);
      previous = summary.previous;
    }
    if (items.length === 0) break;
  }
  return ended(found, previous);
}

/** There are no more, so nothing may be named any more. */
function ended(found: readonly Summary[], previous: string): Summary[] {
  if (previous === NO_HASH) return found.toReversed();
  throw new Missing(
    `The summary ${previous.slice(0, 16)}… that a later one follows from is not published.`,
    'The judge must publish it: its weights depend on it.',
  );
}

/** Throws `Missing` for what is none. */
export function readSummary(bytes: Uint8Array): Summary {
  try {
    return z.parse(summarySchema, JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    throw new Missing('A summary is not as it must be.', 'Is this program as new as the judge?');
  }
}
