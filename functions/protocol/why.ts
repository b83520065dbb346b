/**
 * Why an agent has no work, and what helps: one word per cause, the same in the agent's strategy, in `GET /miners/{hotkey}/why`,
 * in `ripcord-miner why` and in `doctor`. First come causes that keep an agent from everything, then those of one offer.
 */
export const WHY_CODES = [
  'not_connected',
  'old_version',
  'wrong_clock',
  'socket_cut',
  'refused',
  'gated',
  'leaving',
  'maintenance',
  'full',
  'no_demand',
  'forbidden',
  'not_allowed',
  'no_engine',
  'engine_down',
  'toolkit_unsafe',
  'no_gpu',
  'gpu_kind',
  'vram_short',
  'gpu_busy',
  'memory_short',
  'disk_full',
  'pays_too_little',
  'start_failed',
  'engine_unhealthy',
  'taken',
  'others_first',
  'claiming',
  'serving',
] as const;
export type WhyCode = (typeof WHY_CODES)[number];

/** For people: what the code says, and the next best action. */
export const WHY: Record<WhyCode, { text: string; next: string }> = {
  not_connected: {
    text: 'the agent is not connected to the edge',
    next: 'start it: ripcord-miner up; ripcord-miner doctor says what is in the way',
  },
  old_version: { text: 'the edge does not speak the version of this agent any more', next: 'update ripcord-miner' },
  wrong_clock: { text: "this machine's clock differs from the edge's", next: 'set the clock: timedatectl set-ntp true' },
  socket_cut: {
    text: 'something on the way cuts the connection',
    next: 'let WebSockets live: raise the idle limit of the proxy or router, or go around it',
  },
  refused: {
    text: 'the edge refuses this hotkey',
    next: 'see GET /miners/{hotkey}; register the hotkey, or ask the operator of the network',
  },
  gated: { text: 'verdicts of judges keep paid calls away', next: 'ripcord-miner status shows the verdicts with their reasons' },
  leaving: { text: 'the agent drains', next: 'start it again when you want work: ripcord-miner up' },
  maintenance: { text: 'you asked for no new work', next: 'ripcord-miner maintenance off' },
  full: { text: 'it runs as many instances as you allow', next: 'raise max_instances if the machine can take more' },
  no_demand: {
    text: 'no chute wants another instance',
    next: 'nothing to do: work comes with demand; ripcord-miner offers --watch shows it',
  },
  forbidden: { text: 'you forbade the chute', next: 'ripcord-miner forbid --remove NAME' },
  not_allowed: {
    text: 'its command would run with your rights and nobody allowed it',
    next: 'allow its owner: allow.accounts in the config; images need no such leave',
  },
  no_engine: {
    text: 'it is a container image and this machine has no container engine',
    next: 'install Docker or Podman, or serve it with an engine of your own: --url',
  },
  engine_down: { text: 'the container engine does not answer', next: 'restart it: systemctl restart docker' },
  toolkit_unsafe: { text: 'the NVIDIA container toolkit has known holes', next: 'update nvidia-container-toolkit to 1.17.8 or newer' },
  no_gpu: { text: 'it needs a GPU and this machine shows none', next: 'check nvidia-smi; offers for CPUs remain' },
  gpu_kind: { text: 'it asks for other GPUs than yours', next: 'nothing to do: other chutes may want yours' },
  vram_short: { text: 'it needs more GPU memory, or more GPUs, than this machine has', next: 'nothing to do: other chutes may fit' },
  gpu_busy: { text: 'the GPUs that would fit are in use', next: 'nothing to do, or stop what uses them' },
  memory_short: { text: 'it needs more RAM than is free', next: 'free memory, or add some' },
  disk_full: { text: 'it needs more disk than is free', next: 'make room where the data folder lies; ripcord-miner status shows it' },
  pays_too_little: {
    text: 'it would earn less than you ask',
    next: 'lower min_usd_per_hour or the price of power if that is not what you meant',
  },
  start_failed: { text: 'its last start here failed', next: 'ripcord-miner logs shows why; it is tried again by itself' },
  engine_unhealthy: { text: 'its engine does not pass its health check', next: 'see whether the model is loaded: ripcord-miner logs' },
  taken: { text: 'others were faster', next: 'nothing to do: the next need comes' },
  others_first: {
    text: 'you run more instances of it than another that wants it, and who runs fewer goes first',
    next: 'nothing to do: you may take it if nobody comes',
  },
  claiming: { text: 'a claim is under way', next: 'nothing to do' },
  serving: { text: 'it serves', next: 'nothing to do' },
};

/** Codes in the order of `WHY_CODES`, counted. */
export interface WhyReason {
  code: WhyCode;
  count: number;
  /** Some of the chutes it is about, `owner/name`; public ones only where others read it. */
  chutes: string[];
}

/** What keeps it from most, and can be changed: the first cause of the agent itself, else the offer cause met most often. */
export function foremost(reasons: readonly WhyReason[]): WhyCode | null {
  const general = WHY_CODES.indexOf('no_demand');
  const ofAgent = reasons.filter((r) => WHY_CODES.indexOf(r.code) < general).toSorted(byOrder)[0];
  if (ofAgent !== undefined) return ofAgent.code;
  return reasons.toSorted((a, b) => b.count - a.count || byOrder(a, b))[0]?.code ?? null;
}

function byOrder(a: WhyReason, b: WhyReason): number {
  return WHY_CODES.indexOf(a.code) - WHY_CODES.indexOf(b.code);
}
