/** The stand-in as a process of its own: a block a second, finality two blocks behind, kept in a file so that a later start goes on. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod/mini';
import { beaconChainSchema, pulseSchema, roundAt, type BeaconChain } from '#protocol/challenge/beacon.ts';
import type { ChainBeacon } from './block.ts';
import { Chain, type Kept } from './chain.ts';
import { serveChain } from './server.ts';

/** What `start.ts` gives in the environment, as JSON. */
const askSchema = z.object({
  port: z.int(),
  folder: z.string(),
  netuid: z.int(),
  owner: z.object({ hotkey: z.string(), coldkey: z.string() }),
  validators: z.array(z.object({ hotkey: z.string(), stake: z.string() })),
  beacon: z.object({ url: z.string(), chain: beaconChainSchema }),
  blockMs: z.int().check(z.gte(100)),
  tempo: z.int().check(z.gte(1)),
  commitReveal: z.boolean(),
});

/** Blocks that a block waits to be final. */
const LAG = 2;
/** Signatures that are kept for reveals. */
const KEPT = 256;

const ask = askSchema.parse(JSON.parse(process.env['CHAIN_ASK'] ?? 'null'));
const file = join(ask.folder, 'chain.json');
const beacon = followBeacon(ask.beacon);
const validators = ask.validators.map(({ hotkey, stake }) => ({ hotkey, stake: BigInt(stake) }));
const chain = new Chain({ ...ask, validators, beacon }, readKept());
const metadataFile = process.env['RIPCORD_CHAIN_METADATA'];
const metadata = metadataFile === undefined || metadataFile === '' ? null : new Uint8Array(readFileSync(metadataFile));
await serveChain({ chain, metadata }, ask.port);

for (;;) {
  const startedAt = performance.now();
  await beacon.catchUp();
  chain.produce();
  const line = chain.line(chain.best);
  const final = line[line.length - 1 - LAG];
  if (final !== undefined && final.number > chain.finalized.number) {
    chain.finalize(final);
    keep();
  }
  await sleep(Math.max(0, ask.blockMs - (performance.now() - startedAt)));
}

function readKept(): Kept | undefined {
  // Our own file, written whole or not at all.
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Kept) : undefined;
}

function keep(): void {
  writeFileSync(`${file}.new`, JSON.stringify(chain.keep()), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** The chain's workers that bring pulses: here for the rounds of its commits only, as no other is needed. */
function followBeacon({ url, chain: of }: { url: string; chain: BeaconChain }): ChainBeacon & { catchUp(): Promise<void> } {
  const known = new Map<number, string>();
  const wanted = new Set<number>();
  return {
    chain: of,
    signature(round) {
      const signature = known.get(round) ?? null;
      if (signature === null && wanted.size < KEPT) wanted.add(round);
      return signature;
    },
    async catchUp() {
      for (const round of wanted) {
        if (round > roundAt(of, Date.now())) continue;
        const reply = await fetch(`${url}/${of.hash}/public/${round}`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
        const pulse = reply?.ok ? pulseSchema.safeParse(await reply.json()) : null;
        if (pulse?.success !== true) continue;
        known.set(round, pulse.data.signature);
        wanted.delete(round);
      }
      while (known.size > KEPT) known.delete([...known.keys()][0] ?? 0);
    },
  };
}
