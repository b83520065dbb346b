import { describe, expect, it, vi } from 'vitest';
import type { Paint } from '../../../miner-agent/commands/cli.ts';
import type { EdgeFacts } from '../../../miner-agent/commands/edge.ts';
import type { Status } from '../../../miner-agent/control/status.ts';
import { jsonDisplay, liveDisplay, plainDisplay } from '../../../miner-agent/display.ts';
import { screenLines } from '../../../miner-agent/display/screen.ts';
import { dollars, duration } from '../../../miner-agent/display/text.ts';
import type { AgentEvent } from '../../../miner-agent/display.ts';

const live: AgentEvent = { event: 'instance', id: 'ins_1', name: 'demo/chat', state: 'live', detail: '4 slots', slots: 4, since: 0 };
const served: AgentEvent = { event: 'served', instance: 'ins_1', outcome: 'completed', bytes: 10, tokensOut: 7 };

const instance = {
  instance: 'ins_1',
  name: 'demo/chat',
  version: 'f'.repeat(64),
  runtime: 'docker',
  state: 'live' as const,
  detail: '32 slots',
  devices: ['GPU-1'],
  slots: 32,
  busy: 3,
  calls: 1204,
  failed: 3,
  tokens_out: 98_000,
  since: 3_600_000,
  expected_usd_hour: 0.9,
};
const STATUS: Status = {
  at: 3_900_000,
  started_at: 0,
  agent: 'agt_1',
  pid: 1,
  version: '0.1.0',
  hotkey: '5Abc',
  name: 'rig',
  api: 'http://edge',
  data: '/data',
  link: { state: 'up', detail: 'http://edge', since: 0 },
  maintenance: false,
  draining: false,
  pin: [],
  forbid: [],
  inventory: {
    agentVersion: '0.1.0',
    platform: 'linux-x64',
    runtimes: ['process', 'docker'],
    devices: [
      { id: 'cpu0', kind: 'cpu', name: 'EPYC', memoryMb: 65_536 },
      { id: 'GPU-1', kind: 'gpu', name: 'NVIDIA H100 80GB HBM3', memoryMb: 81_559 },
    ],
    region: 'local',
    cpus: 16,
    memoryMb: 65_536,
    diskFreeMb: 120_832,
    engine: 'docker 28.2.2',
    toolkit: '1.17.8',
  },
  instances: [
    instance,
    {
      ...instance,
      instance: 'ins_2',
      name: 'demo/embed',
      state: 'starting',
      detail: 'fetching 40 %',
      devices: [],
      slots: 4,
      busy: 0,
      calls: 0,
      failed: 0,
      tokens_out: 0,
      since: 3_898_000,
      expected_usd_hour: null,
    },
  ],
  served: { calls: 1204, failed: 3, tokens_out: 98_000 },
  offers: 4,
  reasons: [
    { code: 'vram_short', count: 3, chutes: ['acme/huge'] },
    { code: 'serving', count: 9, chutes: ['demo/chat'] },
  ],
};
const FACTS: EdgeFacts = {
  miner: {
    hotkey: '5Abc',
    agents: [
      { agent: 'a', connected: true, seen_at: 0, running: 3 },
      { agent: 'b', connected: null, seen_at: 0, running: 0 },
    ],
    scores: [{ judge: '5J', score: 12_000, parts: { clean: true, tests: 982_000, calls: 1_000_000 } }],
  },
  earnings: {
    pending_nanousd: '1200000000',
    payable_nanousd: '3100000',
    in_flight_nanousd: '0',
    paid_nanousd: '0',
    next_matures_at: null,
    days: 1,
    chutes: [],
  },
  proofs: [{ target: 'agt_1/cpu0', reason: 'proven', outcome: 'pass', rate: 5_512, class: 'cpu', at: 0 }],
  day: 420_000_000n,
  problem: null,
};

describe('display', () => {
  it('tells each piece of news once, in printable text', () => {
    let text = '';
    const d = plainDisplay(
      (t) => (text += t),
      () => 0,
    );
    d.tell(live);
    d.tell(live);
    d.tell(served);
    d.tell({ event: 'market', detail: '\u001b[2Jgone\n' });
    expect(text).toBe('00:00:00 demo/chat ins_1: live 4 slots\n00:00:00 market:  [2Jgone \n');
  });

  it('writes one JSON object a line', () => {
    let text = '';
    jsonDisplay(
      (t) => (text += t),
      () => 5,
    ).tell(served);
    expect(JSON.parse(text)).toEqual({ at: 5, ...served });
  });

  it('draws a screen over itself when something changed, no larger than the terminal', () => {
    vi.useFakeTimers();
    try {
      const drawn: string[] = [];
      let state = 'dialling';
      const d = liveDisplay({
        write: (t) => drawn.push(t),
        columns: () => 40,
        rows: () => 6,
        lines: (news) => [`\x1b[1mrig\x1b[22m ${state} ${'x'.repeat(60)}`, ...news, ...Array.from({ length: 20 }, () => 'more')],
        now: () => 0,
      });
      d.tell(live);
      vi.advanceTimersByTime(3_000);
      expect(drawn).toHaveLength(1);
      expect(drawn[0]).toContain('00:00:00 demo/chat ins_1: live 4 slots');
      const lines = (drawn[0] ?? '').trimEnd().split('\n');
      expect(lines).toHaveLength(5);
      // oxlint-disable-next-line no-control-regex -- styles take no room
      expect(Math.max(...lines.map((l) => l.replace(/\x1b\[\d*[mJ]/g, '').length))).toBe(39);
      state = 'up';
      d.close();
      expect(drawn[1]?.startsWith('\x1b[5A\x1b[J')).toBe(true);
      expect(drawn[1]).toContain('rig\x1b[22m up');
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('the screen', () => {
  const plain: Paint = (_, text) => text;
  const screen = (fields: Partial<Status> = {}, edge: EdgeFacts | null = null) =>
    screenLines({ status: { ...STATUS, ...fields }, edge, news: [] }, plain).join('\n');

  it('shows devices with what runs on them, instances, money, verdicts and why there is no more', () => {
    expect(screen({}, FACTS)).toBe(
      [
        'rig  5Abc',
        'connected to http://edge',
        'running for 1 h 05 min, 1,204 calls served, 3 failed, 98,000 tokens out',
        '',
        'earnings  $0.42 in 24 hours   $1.20 pending   $0.0031 payable   expected now $0.90 an hour',
        'verdicts  1.2 % of the emission, tests 98.2 %, calls 100.0 %',
        '',
        'DEVICE                        MEMORY  PROVEN          RUNS',
        'CPU    EPYC                   64 GB   cpu, 5,512 M/s  demo/embed',
        'GPU 0  NVIDIA H100 80GB HBM3  80 GB   not tested yet  demo/chat',
        '16 threads, 118 GB of disk free, docker 28.2.2, NVIDIA container toolkit 1.17.8',
        '',
        'CHUTE       INSTANCE  STATE     BUSY  CALLS  TOKENS  SINCE',
        'demo/chat   ins_1     live      3/32   1204   98000  5 min  $0.90 an hour',
        'demo/embed  ins_2     starting   0/4      0       0    2 s  fetching 40 %',
        '',
        'why no more  it needs more GPU memory, or more GPUs, than this machine has (acme/huge); 4 offers on the board',
        '             nothing to do: other chutes may fit',
      ].join('\n'),
    );
  });

  it('says when it is not connected, in maintenance or leaving', () => {
    expect(screen({ link: { state: 'down', detail: 'ECONN\x1b[2JREFUSED', since: 0 } })).toContain('not connected: ECONN[2JREFUSED');
    expect(screen({ maintenance: true })).toContain('maintenance: no new work');
    expect(screen({ draining: true })).toContain('leaving');
    expect(screen({ instances: [], reasons: [] })).toContain('no instances yet');
    expect(screen({}, { ...FACTS, earnings: null, miner: null, problem: 'http://edge does not answer.' })).toContain(
      'The edge: http://edge does not',
    );
  });

  it('without an agent shows what the edge knows', () => {
    const lines = screenLines({ status: null, edge: FACTS, news: [] }, plain).join('\n');
    expect(lines).toMatch(
      /^not running here {2}start it: ripcord-miner up\n2 agents of this hotkey known to the edge, 1 connected, 3 instances running\./,
    );
    expect(lines).toContain('$1.20 pending');
  });
});

describe('words', () => {
  it.each([
    [0, '$0'],
    [12.5, '$12.50'],
    [0.0031, '$0.0031'],
    [0.000_000_001, '$0.000000001'],
    [-0.02, '-$0.02'],
  ])('%d is %s', (usd, text) => expect(dollars(usd)).toBe(text));
  it.each([
    [-5, '0 s'],
    [59_999, '59 s'],
    [3_600_000, '1 h 00 min'],
    [200_000_000, '2 d 7 h'],
  ])('%d ms is %s', (ms, text) => expect(duration(ms)).toBe(text));
});
