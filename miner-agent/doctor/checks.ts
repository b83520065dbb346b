/** The checks, in the order a miner meets the troubles. Each is a pure judgement over the facts; `codes` are the causes it answers for. */
import { chooseVersion, WHY_CODES, type WhyCode } from '#protocol';
import { isOlder } from '../connection/troubles.ts';
import { WAITING } from '../runtimes/health.ts';
import { toolkitSafe } from '../runtimes/container/toolkit.ts';
import { because, fail, pass, skip, warn, type Check, type Finding } from './finding.ts';
import type { Facts } from './facts.ts';

interface CheckRule {
  id: string;
  /** For the table in the docs. */
  looks: string;
  codes: readonly WhyCode[];
  judge: (facts: Facts) => Finding;
}

/** Seconds that clocks may differ: signed requests are good for as long. */
const CLOCK_S = 30;
/** MiB below which the data folder is called full, and below which an image will hardly fit. */
const DISK_MB = { full: 512, short: 10_240 } as const;

const UNASKED = 'the edge was not reached';
const NOWHERE = 'no edge is named: give --api';

export const CHECKS: readonly CheckRule[] = [
  {
    id: 'config',
    looks: 'the config reads, and names an edge and a hotkey',
    codes: [],
    judge: ({ config }) => ('is' in config ? pass(`${config.is.name} at ${config.is.api}`) : fail(config.problem, 'ripcord-miner init')),
  },
  {
    id: 'hotkey',
    looks: 'the hotkey file is there, only yours to read, and holds a key',
    codes: [],
    judge: ({ hotkey }) => {
      if (hotkey === null) return skip('the config names no hotkey', 'ripcord-miner init');
      if ('problem' in hotkey) return fail(hotkey.problem, 'ripcord-miner init --new-hotkey FILE');
      const { ss58, file, mode } = hotkey.is;
      if ((mode & 0o077) !== 0) return warn(`others on this machine may read ${file} (mode ${mode.toString(8)})`, `chmod 600 ${file}`);
      return pass(ss58);
    },
  },
  {
    id: 'data',
    looks: 'the data folder can be written, and one agent at most has it',
    codes: [],
    judge: ({ data, status }) => {
      if ('problem' in data) return fail(data.problem, 'make it yours: chown -R "$USER" FOLDER; or choose another with --data');
      const { folder, pid } = data.is;
      if (pid !== null && status === null)
        return fail(`the agent with pid ${pid} holds ${folder} and does not answer`, `kill ${pid}, then ripcord-miner up`);
      return pass(pid === null ? folder : `${folder}, held by the agent with pid ${pid}`);
    },
  },
  {
    id: 'disk',
    looks: 'there is room where code, images and models lie',
    codes: ['disk_full'],
    judge: ({ diskFreeMb, engine }) => {
      const free = Math.min(diskFreeMb ?? Infinity, engine !== null && 'rootFreeMb' in engine ? (engine.rootFreeMb ?? Infinity) : Infinity);
      if (free === Infinity) return skip('the system does not say how much is free');
      if (free < DISK_MB.full) return because('FAIL', 'disk_full', `${Math.floor(free)} MB are free`);
      if (free < DISK_MB.short)
        return warn(`${(free / 1024).toFixed(1)} GB are free; images of models are often larger`, 'make room, or choose another --data');
      return pass(`${Math.floor(free / 1024)} GB are free`);
    },
  },
  {
    id: 'name',
    looks: "the edge's name resolves",
    codes: [],
    judge: ({ names, proxy }) => {
      if (proxy !== null) return skip('the proxy resolves it');
      if (names === null) return skip(NOWHERE);
      return 'is' in names
        ? pass(names.is.join(', '))
        : because(
            'FAIL',
            'not_connected',
            `the edge's name does not resolve (${names.problem})`,
            'check --api and the name servers: getent hosts EDGE',
          );
    },
  },
  {
    id: 'route',
    looks: 'something answers at the address of the edge',
    codes: [],
    judge: ({ route, proxy }) => {
      if (route === null) return skip(proxy === null ? NOWHERE : 'it leads through the proxy');
      return 'is' in route
        ? pass(route.is)
        : because(
            'FAIL',
            'not_connected',
            `no way to the edge (${route.problem})`,
            'check --api, the firewall and the network; behind a proxy: --proxy',
          );
    },
  },
  {
    id: 'proxy',
    looks: 'the proxy makes a tunnel to the edge and lets it live',
    codes: ['socket_cut'],
    judge: ({ proxy }) => {
      if (proxy === null) return skip('none is used');
      if ('heldMs' in proxy) return pass(`${proxy.address}, a silent tunnel lived for ${proxy.heldMs / 1000} s`);
      return because(
        'FAIL',
        proxy.cut ? 'socket_cut' : 'not_connected',
        proxy.problem,
        proxy.cut ? undefined : 'mend the address or the rights in --proxy, or go around with NO_PROXY',
      );
    },
  },
  {
    id: 'tls',
    looks: "the edge's certificate is good",
    codes: [],
    judge: ({ tls }) => {
      if (tls === null) return skip('not reached, or the address is plain http');
      return 'is' in tls
        ? pass(tls.is)
        : because(
            'FAIL',
            'not_connected',
            `TLS fails (${tls.problem})`,
            'check the clock and ca-certificates; a proxy that reads along needs NODE_EXTRA_CA_CERTS',
          );
    },
  },
  {
    id: 'clock',
    looks: `the clock is within ${CLOCK_S} seconds of the edge's`,
    codes: ['wrong_clock'],
    judge: ({ clock }) => {
      if (clock === null) return skip(UNASKED);
      const off = (clock.here - clock.edge) / 1000;
      const text = `this clock is ${Math.abs(off).toFixed(0)} s ${off < 0 ? 'behind' : 'ahead of'} the edge's`;
      if (Math.abs(off) > CLOCK_S) return because('FAIL', 'wrong_clock', text);
      return Math.abs(off) > CLOCK_S / 6 ? because('WARN', 'wrong_clock', text) : pass(`within ${Math.max(1, Math.ceil(Math.abs(off)))} s`);
    },
  },
  {
    id: 'hotkey_accepted',
    looks: 'the edge gives this hotkey a challenge, for the origin that was dialled',
    codes: ['refused', 'gated'],
    judge: ({ challenge }) => {
      if (challenge === null) return skip('no hotkey, or no edge, to ask with');
      if (challenge.kind === 'silent') return because('FAIL', 'not_connected', `the edge does not answer (${challenge.problem})`);
      if (challenge.kind === 'refused') {
        if (challenge.code === '') return because('FAIL', 'not_connected', 'what answers is no Ripcord edge', 'check --api');
        return because('FAIL', 'refused', challenge.detail);
      }
      if (challenge.reply.origin !== challenge.origin)
        return because(
          'FAIL',
          'refused',
          `the edge says it is ${challenge.reply.origin}, not ${challenge.origin}`,
          `ripcord-miner up --api ${challenge.reply.origin}, if that is it`,
        );
      return pass('the edge would let it log in');
    },
  },
  {
    id: 'protocol',
    looks: 'edge and agent speak a version of the protocol in common',
    codes: ['old_version'],
    judge: ({ challenge, versions }) => {
      if (challenge?.kind === 'refused' && challenge.code === 'version_unsupported')
        return because('FAIL', 'old_version', challenge.detail);
      if (challenge?.kind !== 'asked') return skip(UNASKED);
      const served = challenge.reply.versions ?? [1];
      const chosen = chooseVersion(versions, served);
      if (chosen === null)
        return because('FAIL', 'old_version', `the edge speaks ${served.join(' and ')}, this agent ${versions.join(' and ')}`);
      return chosen < Math.max(...served)
        ? because('WARN', 'old_version', `version ${chosen} of ${Math.max(...served)}; it will not be served for ever`)
        : pass(`version ${chosen}`);
    },
  },
  {
    id: 'version',
    looks: 'the agent is the newest',
    codes: [],
    judge: ({ challenge, agentVersion }) => {
      const newest = challenge?.kind === 'asked' ? challenge.reply.newest : undefined;
      if (newest === undefined) return skip(UNASKED);
      return isOlder(agentVersion, newest)
        ? warn(`${agentVersion}; the newest is ${newest}`, 'update ripcord-miner; docs/updating.md')
        : pass(agentVersion);
    },
  },
  {
    id: 'websocket',
    looks: 'a WebSocket gets through to the edge; with --deep a session, held for some seconds',
    codes: [],
    judge: ({ socket, session, status }) => {
      if (socket === null) return skip(UNASKED);
      if ('problem' in socket)
        return because(
          'FAIL',
          'not_connected',
          `a WebSocket does not get through (${socket.problem})`,
          'a proxy or firewall on the way must pass WebSocket upgrades',
        );
      if (session === null) return pass(status === null ? socket.is : `${socket.is}; the session of the running agent was left alone`);
      return 'is' in session
        ? pass(`a session lived for ${session.is.heldMs / 1000} s`)
        : because('FAIL', 'socket_cut', `a session did not live (${session.problem})`);
    },
  },
  {
    id: 'agent',
    looks: 'the agent runs, is connected, and is not held back by its operator',
    codes: ['not_connected', 'leaving', 'maintenance', 'full'],
    judge: ({ status }) => {
      if (status === null) return because('WARN', 'not_connected', 'no agent runs here', 'ripcord-miner up');
      if (status.link.state !== 'up')
        return because('FAIL', 'not_connected', `it runs and is not connected: ${status.link.detail}`, 'see the checks above');
      if (status.draining) return because('WARN', 'leaving');
      if (status.maintenance) return because('WARN', 'maintenance');
      return pass(`connected, ${status.instances.length} instances`);
    },
  },
  {
    id: 'gpu',
    looks: 'the NVIDIA driver answers',
    codes: ['no_gpu'],
    judge: ({ gpus }) => {
      if (gpus.devices.length > 0)
        return pass(
          `${gpus.devices.length} GPUs, driver ${gpus.devices[0]?.driver ?? 'unknown'}${gpus.note === null ? '' : `; ${gpus.note}`}`,
        );
      if (gpus.note === null) return skip('no NVIDIA driver; chutes that need no GPU remain');
      return because('FAIL', 'no_gpu', gpus.note, 'nvidia-smi must list the GPUs: install or reload the driver');
    },
  },
  {
    id: 'vram',
    looks: 'some chute that wants a GPU fits into the memory of yours',
    codes: ['vram_short', 'gpu_kind', 'gpu_busy', 'memory_short'],
    judge: ({ gpus, offers }) => {
      if (gpus.devices.length === 0) return skip('there is no GPU');
      const sizes = gpus.devices.map((d) => `${Math.round(d.memoryMb / 1024)} GB`).join(', ');
      return misfits(offers, ['vram_short', 'gpu_kind', 'gpu_busy', 'memory_short']) ?? pass(sizes);
    },
  },
  {
    id: 'proofs',
    looks: 'judges found what the devices proved to be right and in time',
    codes: [],
    judge: ({ proofs }) => {
      if (proofs === null) return skip(UNASKED);
      if (proofs.length === 0) return skip('no judge has tested a device of it yet');
      const [first, ...others] = proofs.filter((proof) => proof.outcome !== 'pass' && proof.outcome !== 'void');
      if (first === undefined) return pass(`${proofs.length} devices proven`);
      const more = others.length === 0 ? '' : `, and ${others.length} more`;
      return warn(`${first.target.split('/').at(-1)}: ${first.reason}${more}`, 'ripcord-miner prove; ripcord-miner verdicts says why');
    },
  },
  {
    id: 'toolkit',
    looks: 'the NVIDIA container toolkit is there and has no known holes',
    codes: ['toolkit_unsafe'],
    judge: ({ gpus, engine, toolkit }) => {
      if (gpus.devices.length === 0) return skip('there is no GPU');
      if (engine === null) return skip('there is no container engine');
      if (toolkit === null) return warn('it is not installed: containers get no GPU', 'install nvidia-container-toolkit 1.17.8 or newer');
      return toolkitSafe(toolkit)
        ? pass(toolkit)
        : because('FAIL', 'toolkit_unsafe', `version ${toolkit} lets images out of their containers (CVE-2025-23266)`);
    },
  },
  {
    id: 'engine',
    looks: 'the container engine answers',
    codes: ['engine_down', 'no_engine'],
    judge: ({ engine, offers }) => {
      if (engine !== null && 'problem' in engine)
        return because('FAIL', 'engine_down', `${engine.socket} does not answer (${engine.problem})`);
      if (engine !== null) return pass(engine.facts);
      return misfits(offers, ['no_engine']) ?? skip('none is installed; programs and engines of your own need none');
    },
  },
  {
    id: 'models',
    looks: 'the programs of running instances and your own engines pass their health checks',
    codes: ['engine_unhealthy'],
    judge: ({ engines, status }) => {
      const ill = engines.filter((e) => e.problem !== null);
      if (ill[0] !== undefined) return because('FAIL', 'engine_unhealthy', `${ill[0].chute}: ${ill[0].problem}`);
      const waiting = status?.instances.find((i) => i.state === 'starting' && i.detail.startsWith(WAITING));
      if (waiting !== undefined) return because('WARN', 'engine_unhealthy', `${waiting.name}: ${waiting.detail}`);
      const live = status?.instances.filter((i) => i.state === 'live') ?? [];
      if (engines.length === 0 && live.length === 0) return skip('nothing runs');
      return pass(`${Math.max(engines.length, live.length)} healthy`);
    },
  },
  {
    id: 'starts',
    looks: 'the last starts did not fail',
    codes: ['start_failed'],
    judge: ({ status }) => {
      if (status === null) return skip('no agent runs here');
      return pass('none is being held back');
    },
  },
  {
    id: 'demand',
    looks: 'somebody wants more instances',
    codes: ['no_demand'],
    judge: ({ offers }) => {
      if (offers === null) return skip('the market was not read');
      return offers.length === 0 ? because('WARN', 'no_demand') : pass(`${offers.length} chutes want more instances`);
    },
  },
  {
    id: 'price',
    looks: 'something of it pays what you ask',
    codes: ['pays_too_little'],
    judge: ({ offers }) => {
      if (offers === null || offers.length === 0) return skip('there is no offer');
      return misfits(offers, ['pays_too_little']) ?? pass('at least one offer is not below it');
    },
  },
  {
    id: 'leave',
    looks: 'your config lets something of it run here',
    codes: ['not_allowed', 'forbidden'],
    judge: ({ offers }) => {
      if (offers === null || offers.length === 0) return skip('there is no offer');
      return misfits(offers, ['not_allowed', 'forbidden']) ?? pass('at least one offer may run here');
    },
  },
];

/** Causes that say nothing is wrong, so no check answers for them. */
export const HARMLESS: readonly WhyCode[] = ['taken', 'others_first', 'claiming', 'serving'];

/** Every check, as the facts alone would have it. */
export function judge(facts: Facts): Check[] {
  return CHECKS.map(({ id, judge: look }) => ({ id, ...look(facts) }));
}

/** A warning where these causes keep this machine from every offer that others do not keep it from. */
function misfits(offers: Facts['offers'], codes: readonly WhyCode[]): Finding | null {
  const met = (offers ?? []).filter((o) => o.code !== null && codes.includes(o.code));
  const open = (offers ?? []).some((o) => o.verdict === 'take' || (o.code !== null && HARMLESS.includes(o.code)));
  const [first] = met.toSorted((a, b) => WHY_CODES.indexOf(a.code ?? 'serving') - WHY_CODES.indexOf(b.code ?? 'serving'));
  if (open || first?.code == null) return null;
  return because('WARN', first.code, `${met.length} of ${offers?.length ?? 0} offers: ${first.reason}`);
}
