/**
 * P9: scores by a second implementation, in SQL and by nobody's code but its own, over the same files of random epochs: every number of
 * summaries, scores and weights is the same, bit for bit.
 */
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEVELOPMENT, MAINNET } from '#protocol/challenge/index.ts';
import type { Summary } from '#protocol/epoch.ts';
import { makeLeash } from '../../../dev/leash.ts';
import { startPostgres, type Postgres } from '../../../dev/postgres.ts';
import { once, type EpochInput } from '../../../validator-cron/score/input.ts';
import { SCORING } from '../../../validator-cron/score/parameters.ts';
import { scoreWindow } from '../../../validator-cron/score/score.ts';
import { weigh } from '../../../validator-cron/score/weigh.ts';
import { chain, worlds } from '../../unit/score/made.ts';

const WORLDS = Number(process.env['RIPCORD_TWINS'] ?? 12);
const EPOCHS = 4;

const leash = makeLeash();
let folder: string;
let postgres: Postgres;
let client: Client;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ripcord-twin-'));
  const ask = { folder: join(folder, 'pg'), logFile: join(folder, 'pg.log'), password: 'test', port: undefined, durable: false };
  postgres = await startPostgres(ask, leash, () => undefined);
  client = new Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(await readFile(new URL('twin.sql', import.meta.url), 'utf8'));
});

afterAll(async () => {
  await client.end();
  await postgres.part.stop();
  await leash.drop();
  await rm(folder, { recursive: true, force: true });
});

test.each([
  [MAINNET, SCORING.mainnet, 1],
  [DEVELOPMENT, SCORING.development, 2],
])('the twin has the same numbers: $name', { timeout: 600_000 }, async (suite, scoring, seed) => {
  const seen = { miners: 0, proven: 0, shares: 0, unclean: 0 };
  for (const world of fc.sample(worlds(EPOCHS, suite, scoring), { numRuns: WORLDS, seed })) {
    const epochs = world.map(filed);
    const summaries = chain(epochs);
    for (const [i, epoch] of epochs.entries()) expect(await summaryOf(epoch, summaries[i - 1] ?? null)).toEqual(summaries[i]);
    const scores = scoreWindow(summaries, scoring);
    const plain = scores.map(({ hotkey, entity, clean, quality, share }) => ({ hotkey, entity, clean, quality, share }));
    expect(await ask('select twin.scores($1, $2) as answer', [summaries, scoring])).toEqual(plain);
    const neurons = epochs.at(-1)?.neurons ?? [];
    expect(await ask('select twin.weights($1, $2, $3) as answer', [plain, neurons, scoring])).toEqual(weigh(scores, neurons, scoring));
    seen.miners += scores.length;
    seen.proven += summaries.flatMap((s) => s.miners).filter((m) => m.proven !== '0').length;
    seen.shares += scores.filter((s) => s.share > 0).length;
    seen.unclean += scores.filter((s) => !s.clean).length;
  }
  // The worlds are not empty: there is something of everything in them.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(WORLDS / 10);
});

/** As a file has it: each thing once. */
function filed(epoch: EpochInput): EpochInput {
  return {
    ...epoch,
    presence: once(epoch.presence, (p) => `${p.hotkey} ${p.agent}/${p.device}`),
    uses: once(epoch.uses, (u) => `${u.chute} ${u.payer} ${u.hotkey}`),
    served: once(epoch.served, (s) => s.hotkey),
    transcripts: once(epoch.transcripts, (t) => t.id),
    verdicts: once(epoch.verdicts, (v) => v.id),
    calls: once(epoch.calls, (c) => c.hotkey),
  };
}

function summaryOf(epoch: EpochInput, previous: Summary | null): Promise<unknown> {
  const { presence, uses, served, neurons, transcripts, verdicts, calls, scoring, suite, files } = epoch;
  const evidence = [...presence, ...uses, ...served, ...neurons, ...transcripts.map((t) => ({ t: 'transcript', ...t }))];
  const findings = [...verdicts.map((v) => ({ t: 'verdict', ...v })), ...calls];
  // What is no number of the epoch is taken over as it is.
  const head = { v: 1, ...epoch.head, ...files, scoring_sha256: chain([epoch])[0]?.scoring_sha256 };
  return ask('select twin.summary($1, $2, $3, $4, $5, $6) as answer', [evidence, findings, previous, scoring, suite, head]);
}

async function ask(query: string, values: unknown[]): Promise<unknown> {
  const { rows } = await client.query<{ answer: unknown }>(
    query,
    values.map((value) => JSON.stringify(value)),
  );
  return rows[0]?.answer;
}
