/**
 * Epochs for everybody: which there are, the edge's evidence, and what each judge made of it. Judges put their files first and
 * commit to them then, signed; what is committed first stands.
 */
import { Hono, type Context } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import { firstIssue, SIGNED_HEADERS } from '#protocol';
import { genesisOf } from '../chain/chain.ts';
import type { Env } from '../env.ts';
import { epochFiles } from '../epochs/files.ts';
import { networkOf } from '../epochs/network.ts';
import { RipcordError } from '../errors.ts';
import { Buckets } from '../gate/bucket.ts';
import { decodeSs58 } from '../gate/ss58.ts';
import { sha256Of } from '../protocol/canonical.ts';
import { commitEpochSchema, EPOCH_LIMITS, postedSchema, type CommitEpoch, type EpochState } from '../protocol/epoch.ts';
import { readJson } from './body.ts';
import { gateJudges, signedJudge } from './judge-of.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

export const epochsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

const FILES = ['findings', 'summary'] as const;
const FILE_BYTES = { findings: EPOCH_LIMITS.findingsBytes, summary: EPOCH_LIMITS.summaryBytes } as const;
const COMMIT_BYTES = 128 * 1024;

/** Of one judge: files are long and there are two per epoch; words are short. Enough to catch up after a day away. */
const fileRate = new Buckets(0.25, 48);
const wordRate = new Buckets(0.5, 96);

epochsApi.get('/epochs', async (c) => {
  const { before, limit } = query(c, z.object({ before: z.optional(epochText), limit: z.optional(epochText) }));
  const most = Math.min(EPOCH_LIMITS.page, Math.max(1, limit ?? EPOCH_LIMITS.page));
  const items = await db.listEpochs(db.connect(c.env), { before: before ?? END, limit: most, gate: gateJudges(c.env) });
  return c.json({ items: items.map(itemView), next: items.length < most ? null : (items.at(-1)?.epoch ?? null) });
});

epochsApi.get('/epochs/:epoch', async (c) => {
  const base = db.connect(c.env);
  const epoch = await closedEpoch(c, base);
  const gate = gateJudges(c.env);
  const { chain, beaconUrls } = networkOf(c.env);
  const [[item], judges] = await Promise.all([
    db.listEpochs(base, { before: epoch.start + 1, limit: 1, gate }),
    db.listJudgements(base, { epoch: epoch.start, limit: EPOCH_LIMITS.judges }),
  ]);
  return c.json({
    ...(item === undefined ? { epoch: epoch.start } : itemView(item)),
    seconds: epoch.seconds,
    suite: epoch.suite,
    bytes: epoch.bytes,
    previous: epoch.previous,
    closed_at: epoch.closedAt.getTime(),
    beacon: { chain, urls: beaconUrls },
    chain: c.env.NETUID === undefined ? null : { netuid: Number(c.env.NETUID), genesis: genesisOf(c.env) },
    judges: judges.map((j) => ({
      judge: j.judge,
      gate: gate.includes(j.judge),
      evidence: j.evidence,
      findings: j.findings,
      summary: j.summary,
      weights: j.weights,
      signed: j.signed,
      committed_at: j.committedAt.getTime(),
      extrinsic: j.extrinsic,
      block: j.block,
      reveal_round: j.revealRound,
    })),
  });
});

epochsApi.get('/epochs/:epoch/evidence', async (c) => {
  const { evidence, bytes } = await closedEpoch(c, db.connect(c.env));
  return sendFile(c, evidence, bytes);
});

epochsApi.get('/epochs/:epoch/judges/:judge/:file', async (c) => {
  const file = FILES.find((name) => name === c.req.param('file'));
  const judge = c.req.param('judge');
  const epoch = z.safeParse(epochText, c.req.param('epoch'));
  if (file === undefined || decodeSs58(judge) === null || !epoch.success) throw new RipcordError('not_found');
  const stands = await db.readJudgement(db.connect(c.env), { epoch: epoch.data, judge });
  if (stands === null) throw new RipcordError('not_found', { message: 'This judge has committed to nothing for this epoch.' });
  return sendFile(c, stands[file], null);
});

/** Kept by its hash, for the commitment that follows. */
epochsApi.put('/audit/epochs/:epoch/:file', async (c) => {
  const file = FILES.find((name) => name === c.req.param('file'));
  if (file === undefined) throw new RipcordError('not_found');
  await signedJudge(c, { bytes: FILE_BYTES[file], rate: fileRate });
  await closedEpoch(c, db.connect(c.env));
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  const sha256 = sha256Of(bytes);
  await epochFiles(c.env).put(sha256, bytes);
  return c.json({ sha256, bytes: bytes.byteLength });
});

/** What a judge says this epoch came to. A repeat of the same is taken; another word is refused. */
epochsApi.post('/audit/epochs', async (c) => {
  const judge = await signedJudge(c, { bytes: COMMIT_BYTES, rate: wordRate });
  const commit = await readJson(c, commitEpochSchema);
  const base = db.connect(c.env);
  const epoch = await db.readEpoch(base, commit.epoch);
  if (epoch === null) throw new RipcordError('not_found', { message: 'The evidence of this epoch is not closed.' });
  const wrong = faultOf(commit, epoch.evidence);
  if (wrong !== null) throw new RipcordError('invalid_request', { message: `The commitment is not taken: ${wrong}.` });
  const files = epochFiles(c.env);
  for (const name of FILES)
    if (!(await files.has(commit[name])))
      throw new RipcordError('invalid_request', { message: `Put the ${name} first: there is no file of this hash.`, param: name });
  const signed = { origin: c.env.PUBLIC_ORIGIN, method: 'POST', target: '/audit/epochs', ...signatureOf(c), body: await c.req.text() };
  if (!(await db.commitEpoch(base, judge, commit, signed))) throw new RipcordError('already_committed');
  return c.json({ taken: true });
});

/** How its weights came to the chain; told by the judge, checked by whoever asks the chain. */
epochsApi.post('/audit/posted', async (c) => {
  const judge = await signedJudge(c, { bytes: COMMIT_BYTES, rate: wordRate });
  const posted = await readJson(c, postedSchema);
  if (!(await db.markPosted(db.connect(c.env), judge, posted)))
    throw new RipcordError('not_found', { message: 'This judge has committed to nothing for this epoch.' });
  return c.json({ taken: true });
});

const epochText = z.pipe(z.string().check(z.regex(/^[0-9]{1,11}$/)), z.transform(Number));
const END = 100_000_000_000;

/** `published` once its evidence is closed and a judge of the gate has committed; `hash` is there as soon as the evidence is. */
function itemView({ epoch, hash, judged, block }: db.EpochItem): {
  epoch: number;
  state: EpochState;
  hash: string | null;
  weights_block: number | null;
} {
  const state = hash === null || judged === 0 ? 'open' : block === null ? 'published' : 'posted';
  return { epoch, state, hash, weights_block: block };
}

/** Throws `not_found` for one that is not closed. */
async function closedEpoch(c: Ctx, base: db.Database) {
  const start = z.safeParse(epochText, c.req.param('epoch'));
  const epoch = start.success ? await db.readEpoch(base, start.data) : null;
  if (epoch === null)
    throw new RipcordError('not_found', { message: 'There is no epoch that starts at this second, or its evidence is not closed.' });
  return epoch;
}

/** From where `Range` says: a download that broke goes on. */
async function sendFile(c: Ctx, sha256: string, bytes: number | null): Promise<Response> {
  const from = Number(/^bytes=([0-9]{1,12})-$/.exec(c.req.header('range') ?? '')?.[1] ?? 0);
  const body = await epochFiles(c.env).get(sha256, from);
  if (body === null) throw new RipcordError('unavailable', { message: 'The file is not where it should be.' });
  const headers = {
    'content-type': 'application/x-ndjson',
    'cache-control': 'public, max-age=31536000, immutable',
    etag: `"${sha256}"`,
    'x-ripcord-sha256': sha256,
    ...(bytes === null ? {} : { 'x-ripcord-bytes': String(bytes) }),
    ...(from === 0 ? {} : { 'content-range': `bytes ${from}-/*` }),
  };
  return new Response(body, { status: from === 0 ? 200 : 206, headers });
}

/** What is wrong with a commitment for this evidence, or null. */
function faultOf({ evidence, weights: { uids, values } }: CommitEpoch, closed: string): string | null {
  if (evidence !== closed) return 'evidence: not the file of this epoch';
  if (uids.length !== values.length) return 'weights: as many values as uids are expected';
  if (uids.some((uid, k) => k > 0 && uid <= (uids[k - 1] ?? 0))) return 'weights: uids must rise';
  if (uids.length > 0 && values.reduce((sum, value) => sum + value, 0) !== 65_535) return 'weights: they must sum to 65535';
  return null;
}

function signatureOf(c: Ctx) {
  const { hotkey, timestamp, nonce, signature } = SIGNED_HEADERS;
  const header = (name: string) => c.req.header(name) ?? '';
  return { hotkey: header(hotkey), timestamp: header(timestamp), nonce: header(nonce), signature: header(signature) };
}

function query<T extends z.ZodMiniType>(c: Ctx, schema: T): z.output<T> {
  const parsed = z.safeParse(schema, c.req.query());
  if (!parsed.success) throw new RipcordError('invalid_request', { message: firstIssue(parsed.error) });
  return parsed.data;
}
