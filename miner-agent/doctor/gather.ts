/** Gathers the facts, all that can be at once, each within some seconds; what cannot be found is a fact too. */
import { PROTOCOL_VERSIONS, type Inventory } from '#protocol';
import { readVerdicts, proofsOf } from '../commands/edge.ts';
import type { Config } from '../config.ts';
import { askAgent } from '../control/client.ts';
import { statusSchema, type Status } from '../control/status.ts';
import type { Hotkey } from '../identity/hotkey.ts';
import { login } from '../identity/login.ts';
import { makeSessionKeys } from '../identity/session.ts';
import { AGENT_VERSION, readGpus, takeInventory } from '../inventory.ts';
import { diskFreeMb } from '../inventory/disk.ts';
import { Market } from '../market.ts';
import { MoneyRefused, type MoneyEdge } from '../money/edge.ts';
import { failureOf, Outbound } from '../net/outbound.ts';
import type { ProxySettings } from '../net/proxy.ts';
import { Socket } from '../connection/socket.ts';
import { judgeOffers } from '../strategy/offers.ts';
import { wishesOf } from '../strategy/wishes.ts';
import { askForChallenge, readClock, readWhy } from './edge-facts.ts';
import type { Facts, Found } from './facts.ts';
import { readData, readEngine, readEngines, readHotkey } from './machine-facts.ts';
import { resolveName, tryProxy, tryRoute, tryTls, tryUpgrade } from './reach.ts';

/** Milliseconds that a tunnel or a session has to live in silence. */
const HOLD_MS = { quick: 3_000, deep: 40_000 } as const;

/** As far as the config could be read. */
export interface Ask {
  config: Found<Config>;
  /** Without a whole config: what is known of it. */
  known: {
    api: string | null;
    name: string;
    proxy: ProxySettings;
    hotkeyFile: string | null;
    dataFolder: string;
    engineSocket: string | null;
  };
  deep: boolean;
}

export async function gather({ config: read, known, deep }: Ask): Promise<Facts> {
  const config = 'is' in read ? read.is : null;
  const { found, hotkey } = known.hotkeyFile === null ? { found: null, hotkey: null } : readHotkey(known.hotkeyFile);
  const [{ inventory, ...machine }, status] = await Promise.all([machineFacts(known, config), readStatus(known.dataFolder)]);
  return {
    ...NOTHING,
    ...machine,
    config: 'is' in read ? { is: { api: read.is.api, name: read.is.name } } : read,
    hotkey: found,
    status,
    ...(known.api === null ? {} : await edgeFacts({ ...known, api: known.api, config, hotkey, status, inventory, deep })),
  };
}

const NOTHING = {
  clock: null,
  names: null,
  route: null,
  tls: null,
  proxy: null,
  challenge: null,
  socket: null,
  session: null,
  edge: null,
  proofs: null,
  offers: null,
  agentVersion: AGENT_VERSION,
  versions: PROTOCOL_VERSIONS,
} as const satisfies Partial<Facts>;

async function machineFacts({ dataFolder, engineSocket }: Ask['known'], config: Config | null) {
  const [engine, gpus, engines] = await Promise.all([readEngine(engineSocket), readGpus(), readEngines(config?.engines ?? [])]);
  const facts = engine !== null && 'facts' in engine ? engine.facts : null;
  const asked = { region: config?.region ?? 'unknown', hasEngines: engines.length > 0, dataFolder, engine: facts };
  const inventory = await takeInventory(asked);
  const { toolkit = null } = inventory;
  return { data: readData(dataFolder), diskFreeMb: diskFreeMb(dataFolder), engine, gpus, engines, inventory, toolkit };
}

/** Null: none runs, or it does not answer. */
async function readStatus(dataFolder: string): Promise<Status | null> {
  return askAgent(dataFolder, ['GET', '/status'], statusSchema).catch(() => null);
}

interface Known {
  api: string;
  name: string;
  proxy: ProxySettings;
  config: Config | null;
  hotkey: Hotkey | null;
  status: Status | null;
  inventory: Inventory;
  deep: boolean;
}

async function edgeFacts({ api, name, proxy: proxies, config, hotkey, status, inventory, deep }: Known): Promise<Partial<Facts>> {
  const holdMs = HOLD_MS[deep ? 'deep' : 'quick'];
  const outbound = new Outbound(proxies);
  const url = new URL(api);
  const direct = outbound.proxyFor(url) === null;
  try {
    const [names, route, tls, proxy, challenge, clock, socket, offers] = await Promise.all([
      direct ? resolveName(url) : null,
      direct ? tryRoute(url) : null,
      direct ? tryTls(url) : null,
      tryProxy(url, outbound, holdMs),
      hotkey === null ? null : askForChallenge(api, hotkey.ss58, name, outbound),
      readClock(api, outbound),
      tryUpgrade(url, outbound),
      config === null ? null : readOffers(config, inventory, outbound),
    ]);
    const agent = challenge?.kind === 'asked' ? challenge.reply.agent : '';
    const [edge, proofs] =
      hotkey === null
        ? [null, null]
        : await Promise.all([readWhy(api, hotkey.ss58, agent, outbound), readProofs({ api, hotkey, outbound }, agent)]);
    const alone = deep && status === null && hotkey !== null && challenge?.kind === 'asked';
    const session = alone ? await holdSession({ api, name }, hotkey, outbound, holdMs) : null;
    const reached = challenge?.kind === 'silent' ? null : socket;
    return { names, route, tls, proxy, challenge, clock: clockOf(challenge, clock), socket: reached, offers, edge, proofs, session };
  } finally {
    outbound.close();
  }
}

/** The header of `/health` where the edge gave no better word. */
function clockOf(challenge: Facts['challenge'], header: Facts['clock']): Facts['clock'] {
  const now = challenge?.kind === 'asked' ? challenge.reply.now : undefined;
  return now === undefined ? header : { here: Date.now(), edge: now };
}

async function readProofs(edge: MoneyEdge, agent: string): Promise<Facts['proofs']> {
  try {
    return proofsOf(await readVerdicts(edge)).filter(({ target }) => target.startsWith(`${agent}/`));
  } catch (error) {
    if (error instanceof MoneyRefused) return null;
    throw error;
  }
}

/** As an agent would judge them that runs nothing yet. */
async function readOffers(config: Config, inventory: Inventory, outbound: Outbound): Promise<Facts['offers']> {
  const market = new Market(config.api, outbound);
  try {
    await market.refresh(AbortSignal.timeout(8_000));
  } catch {
    return null;
  }
  return judgeOffers({
    agent: '',
    inventory,
    running: [],
    offers: market.offers,
    wishes: wishesOf(config),
    claiming: new Map(),
    cooling: new Map(),
    cached: new Set(),
    switches: new Map(),
    idleSince: null,
    now: Date.now(),
  });
}

/** Only where no agent of this name runs here: its session would be ended by this one. Says nothing, not even hello. */
async function holdSession(
  { api, name }: Pick<Known, 'api' | 'name'>,
  hotkey: Hotkey,
  outbound: Outbound,
  holdMs: number,
): Promise<Facts['session']> {
  try {
    const header = await login(api, hotkey, name, makeSessionKeys(), Date.now(), { outbound });
    const held = Promise.withResolvers<number | null>();
    const handlers = { closed: (code: number) => held.resolve(code), text() {}, message() {}, writable() {} };
    const socket = await Socket.dial({ api, header, outbound, signal: AbortSignal.timeout(10_000) }, handlers);
    if (!socket.start()) return { problem: 'it closed at once' };
    const timer = setTimeout(() => held.resolve(null), holdMs);
    const code = await held.promise;
    clearTimeout(timer);
    socket.close(1000, '');
    return code === null ? { is: { heldMs: holdMs } } : { problem: `closed with code ${code} within ${holdMs / 1000} s` };
  } catch (error) {
    return { problem: failureOf(error) };
  }
}
