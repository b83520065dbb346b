/** The network on one machine, part by part; `start.ts` and the whole-network tests raise the same one. */
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { makeBeacon, type Beacon, type BeaconAsk } from './beacon/beacon.ts';
import { serveBeacon } from './beacon/server.ts';
import { startBridge } from './bridge.ts';
import { bundle } from './bundle.ts';
import { startChain, type ChainPart } from './chain/start.ts';
import { startTicker, type Beat } from './cron.ts';
import { EXIT, StartFailure } from './failure.ts';
import type { DataFolder } from './folder.ts';
import { DEVELOPMENT } from '#protocol/challenge/suite.ts';
import { migrate } from '../db/migrate.ts';
import { freePort, isFree, LOOPBACK } from './ports.ts';
import { startPostgres } from './postgres.ts';
import { startReloading } from './reload.ts';
import { makeLeash } from './leash.ts';
import { makePart, trimLog, type Part, type PartSpec, type Say } from './supervise.ts';
import { agentsWithin, descriptorLimit, startWorker } from './workerd.ts';
import { hotkeyOf } from './hotkeys.ts';

export const ROOT = join(import.meta.dirname, '..');
export const EDGE = { name: 'edge', root: ROOT, wranglerToml: 'wrangler.toml' };
export const JUDGE = { name: 'judge', root: ROOT, wranglerToml: 'validator-cron/wrangler.toml' };
/** Deployed Workers tick once a minute, which is a slot of theirs; here too it is once a slot. */
const TICK_MS = DEVELOPMENT.cadence.slotSeconds * 1000;
const MINUTE_MS = 60_000;

export interface NetworkAsk {
  folder: DataFolder;
  /** 0: any free one. */
  port: number;
  epochSeconds: number;
  /** Run the edge under `wrangler dev`. */
  reload?: boolean;
  /** Lets internal routes break things; for tests. */
  faults?: boolean;
  /** Agents the edge holds at most; default: as many as its file descriptors allow. */
  maxAgents?: number;
  /** False: Postgres does not wait for the disk; for tests. */
  durable?: boolean;
  /** What the beacon is made of; the data folder's own if nothing is said. */
  beacon?: BeaconAsk;
  /** Runs the stand-in chain; with `commitReveal`, weights must be committed on it. */
  chain?: { commitReveal: boolean };
  /** More bindings of the edge, and others instead; for tests. */
  vars?: Record<string, string>;
  /** Something between the edge and the bridge to Postgres, by its address; for tests. */
  between?: (bridge: string) => Promise<string>;
  say: Say;
  /** Gives the start up. */
  signal?: AbortSignal;
}

export interface Network {
  /** `http://127.0.0.1:PORT` */
  api: string;
  /** Bearer of the internal routes. */
  internalToken: string;
  databaseUrl: string;
  /** The beacon that edge and judge go by. */
  beacon: Beacon;
  /** Null: it was not asked for. */
  chain: ChainPart | null;
  postgres: Part;
  edge: Part;
  /** Starts the judge; it pays its canary calls with this key. */
  addJudge(apiKey: string): Promise<Part>;
  /** Starts one more supervised program, e.g. an agent. */
  add(spec: Omit<PartSpec, 'logFile'> & { log: string }): Promise<Part>;
  /** Starts calling the cron routes of the Workers that run. */
  tick(): void;
  /** Stops everything, the newest first. Never throws; safe to call twice. */
  stop(): Promise<void>;
}

/** Raises Postgres, its bridge and the edge. What was started is stopped again if anything fails. */
export async function raiseNetwork(ask: NetworkAsk): Promise<Network> {
  const { folder, say } = ask;
  const { state } = folder;
  if (ask.port !== 0 && !(await isFree(ask.port)))
    throw new StartFailure(`Port ${ask.port} of ${LOOPBACK} is taken. Choose another with --port.`, EXIT.portTaken);
  const port = ask.port === 0 ? await freePort() : ask.port;
  const api = `http://${LOOPBACK}:${port}`;
  const logs: string[] = [];
  const logFile = (name: string) => {
    const file = join(folder.folder('log'), `${name}.log`);
    logs.push(file);
    return file;
  };
  const leash = makeLeash(ask.signal);
  const undo: (() => Promise<unknown>)[] = [() => leash.drop()];
  const beats: Beat[] = [];
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= stopAll(undo));
  const keep = (part: Part): Part => {
    undo.push(() => part.stop());
    return part;
  };

  try {
    // Both Workers are bundled while Postgres starts; what fails here fails again, and is told, where it is used.
    const bundled = Promise.allSettled([...(ask.reload ? [] : [bundle(EDGE, leash.signal)]), bundle(JUDGE, leash.signal)]);
    const postgresAsk = {
      folder: folder.file('postgres'),
      logFile: logFile('postgres'),
      password: state.postgresPassword,
      port: state.postgresPort,
      durable: ask.durable ?? true,
    };
    const postgres = await startPostgres(postgresAsk, leash, say);
    keep(postgres.part);
    await bundled;
    folder.remember({ postgresPort: postgres.port });
    await migrate(postgres.url);
    const bridge = await startBridge(postgres.url);
    undo.push(() => bridge.close());

    const beaconAsk = ask.beacon ?? { seed: secretFor('beacon', state.edgeSecret) };
    const beacon = makeBeacon(beaconAsk);
    const beaconServer = await serveBeacon(beacon, beaconAsk.seed);
    undo.push(() => beaconServer.close());
    const chain =
      ask.chain === undefined
        ? null
        : await startChain(
            {
              ...ask.chain,
              folder: folder.folder('chain'),
              logFile: logFile('chain'),
              port: state.chainPort,
              ownerSeed: secretFor('owner', state.edgeSecret),
              judge: hotkeyOf(judgeSeed(state.edgeSecret)).ss58,
              beacon: { url: beaconServer.url, chain: beacon.chain },
            },
            leash,
            say,
          );
    if (chain !== null) {
      keep(chain.part);
      folder.remember({ chainPort: chain.port });
    }
    /** What edge and judge know alike. */
    const common = {
      NETWORK: DEVELOPMENT.name,
      EPOCH_SECONDS: String(ask.epochSeconds),
      BEACON_URLS: beaconServer.url,
      BEACON_CHAIN: JSON.stringify(beacon.chain),
      INTERNAL_TOKEN: state.internalToken,
      ...(chain === null ? {} : { CHAIN_URL: chain.url, CHAIN_GENESIS: chain.genesis, NETUID: String(chain.netuid) }),
    };

    const edgeVars = {
      ...common,
      EDGE_SECRET: state.edgeSecret,
      PUBLIC_ORIGIN: api,
      HOST_SUFFIX: 'localhost',
      DATABASE_URL: postgres.url,
      DATABASE_FETCH_ENDPOINT: (await ask.between?.(bridge.endpoint)) ?? bridge.endpoint,
      JUDGES: hotkeyOf(judgeSeed(state.edgeSecret)).ss58,
      OPEN_MINING: '1',
      MAX_AGENTS: String(ask.maxAgents ?? agentsWithin(descriptorLimit())),
      ...(ask.faults ? { FAULTS: '1' } : {}),
      ...ask.vars,
    };
    const edgeAsk = { ...EDGE, vars: edgeVars, port, folder: folder.folder('edge'), logFile: logFile('edge') };
    const edge = keep(
      ask.reload
        ? await startReloading(edgeAsk, leash, say)
        : await startWorker({ ...edgeAsk, blobs: 'BLOBS_DISK', mayFetch: ['local'] }, leash, say),
    );
    beats.push({ name: 'edge', origin: api, token: state.internalToken, everyMs: TICK_MS });

    return {
      api,
      internalToken: state.internalToken,
      databaseUrl: postgres.url,
      beacon,
      chain,
      postgres: postgres.part,
      edge,
      async addJudge(apiKey) {
        const judgePort = await freePort();
        const origin = `http://${LOOPBACK}:${judgePort}`;
        const seed = judgeSeed(state.edgeSecret);
        const vars = { ...common, API_ORIGIN: api, JUDGE_SEED: seed, API_KEY: apiKey, SELF_ORIGIN: origin };
        const judgeAsk = {
          ...JUDGE,
          vars,
          port: judgePort,
          folder: folder.folder('judge'),
          logFile: logFile('judge'),
          mayFetch: ['local' as const],
        };
        const judge = keep(await startWorker(judgeAsk, leash, say));
        beats.push({ name: 'judge', origin, token: state.internalToken, everyMs: TICK_MS });
        return judge;
      },
      async add({ log, ...spec }) {
        const part = makePart({ ...spec, logFile: logFile(log) }, leash, say);
        keep(part);
        await part.start();
        return part;
      },
      tick() {
        undo.push(startTicker(beats, say));
        const trimming = setInterval(() => logs.forEach(trimLog), MINUTE_MS);
        undo.push(async () => clearInterval(trimming));
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The judge's hotkey lasts as long as the edge it judges. */
export function judgeSeed(edgeSecret: string): string {
  return secretFor('judge', edgeSecret);
}

function secretFor(what: string, edgeSecret: string): string {
  return createHmac('sha256', Buffer.from(edgeSecret, 'hex')).update(`dev/${what}`).digest('hex');
}

async function stopAll(undo: (() => Promise<unknown>)[]): Promise<void> {
  for (const step of undo.toReversed()) await step().catch(() => undefined);
}
