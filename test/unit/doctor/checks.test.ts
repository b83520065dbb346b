/** doctor's judgement over facts that were gathered: every fault has its check, and no check says PASS against the edge's word. */
import { describe, expect, test } from 'vitest';
import { PROTOCOL_VERSIONS, WHY_CODES, type WhyCode } from '#protocol';
import { agree } from '../../../miner-agent/doctor/agree.ts';
import { CHECKS, HARMLESS, judge } from '../../../miner-agent/doctor/checks.ts';
import type { Facts } from '../../../miner-agent/doctor/facts.ts';
import { checksText } from '../../../miner-agent/doctor/show.ts';
import type { Status } from '../../../miner-agent/control/status.ts';
import type { Judged } from '../../../miner-agent/strategy/offers.ts';

const GPU = { id: 'GPU-1', kind: 'gpu' as const, name: 'NVIDIA H100', memoryMb: 81_559, driver: '570.1' };
const offer = (code: WhyCode | null, reason = 'because'): Judged => ({
  chute: 'cht_1',
  name: 'demo/x',
  need: 1,
  urgency: 0,
  bounty: 0,
  expectedUsdHour: null,
  verdict: code === null ? 'take' : 'skip',
  code,
  reason,
});
const status: Status = {
  at: 0,
  started_at: 0,
  pid: 1,
  version: '0.2.0',
  hotkey: '5F',
  name: 'rig',
  api: 'https://edge',
  data: '/d',
  link: { state: 'up', detail: '', since: 0 },
  maintenance: false,
  draining: false,
  pin: [],
  forbid: [],
  inventory: { agentVersion: '0.2.0', platform: 'x', runtimes: [], devices: [], region: 'x' },
  instances: [],
  served: { calls: 0, failed: 0, tokens_out: 0 },
  offers: 1,
  reasons: [],
};
const instance: Status['instances'][number] = {
  instance: 'ins_1',
  name: 'demo/x',
  version: 'v',
  runtime: 'process',
  state: 'starting',
  detail: 'waiting for /health (503)',
  devices: [],
  slots: 1,
  busy: 0,
  calls: 0,
  failed: 0,
  tokens_out: 0,
  since: 0,
  expected_usd_hour: null,
};

/** A machine with which nothing is wrong. */
const WELL: Facts = {
  clock: { here: 1_000_000, edge: 1_000_500 },
  config: { is: { api: 'https://edge', name: 'rig' } },
  hotkey: { is: { ss58: '5F', file: '/k', mode: 0o600 } },
  data: { is: { folder: '/d', pid: 1 } },
  diskFreeMb: 100_000,
  names: { is: ['192.0.2.1'] },
  route: { is: '192.0.2.1 port 443' },
  tls: { is: 'TLSv1.3' },
  proxy: null,
  challenge: {
    kind: 'asked',
    origin: 'https://edge',
    reply: { agent: 'agt_1', challenge: 'c', origin: 'https://edge', now: 1, versions: [...PROTOCOL_VERSIONS], newest: '0.2.0' },
  },
  socket: { is: 'reaches the edge' },
  session: null,
  status,
  edge: { reasons: [], connected: true },
  proofs: [{ target: 'agt_1/cpu0', reason: 'proven', outcome: 'pass', rate: 5_000, class: 'cpu', at: 0 }],
  agentVersion: '0.2.0',
  versions: PROTOCOL_VERSIONS,
  gpus: { devices: [GPU], note: null },
  toolkit: '1.17.8',
  engine: { socket: '/s', facts: '28.2.2', rootFreeMb: 100_000 },
  engines: [],
  offers: [offer(null)],
};
const checksOf = (facts: Partial<Facts>) => {
  const all = { ...WELL, ...facts };
  return agree(judge(all), all);
};
const found = (facts: Partial<Facts>, id: string) => checksOf(facts).find((check) => check.id === id);
const refused = (code: string): Facts['challenge'] => ({ kind: 'refused', code, detail: 'no' });
const asked = WELL.challenge?.kind === 'asked' ? WELL.challenge.reply : undefined;
const replying = (fields: object): Facts['challenge'] =>
  asked === undefined ? null : { kind: 'asked', origin: 'https://edge', reply: { ...asked, ...fields } };

test('nothing is wrong with a machine that is well', () => {
  const checks = checksOf({});
  expect(checks.filter((c) => c.status !== 'PASS' && c.status !== 'SKIP')).toEqual([]);
  expect(checks.map((c) => c.id)).toEqual(CHECKS.map((c) => c.id));
  expect(checks.length).toBeGreaterThan(12);
});

test('before init nothing but the config fails, and every check that cannot be made is skipped', () => {
  const unasked = {
    clock: null,
    names: null,
    route: null,
    tls: null,
    challenge: null,
    socket: null,
    edge: null,
    proofs: null,
    offers: null,
  };
  const bare = { hotkey: null, status: null, gpus: { devices: [], note: null }, engine: null, toolkit: null };
  const nothing: Partial<Facts> = {
    ...unasked,
    ...bare,
    config: { problem: '--api is missing' },
    data: { is: { folder: '/d', pid: null } },
  };
  const failed = checksOf(nothing).filter((c) => c.status === 'FAIL');
  expect(failed).toEqual([{ id: 'config', status: 'FAIL', cause: '--api is missing', fix: 'ripcord-miner init' }]);
  expect(found(nothing, 'hotkey')).toMatchObject({ status: 'SKIP', fix: 'ripcord-miner init' });
});

describe('each fault has its check, its cause and what to do', () => {
  const FAULTS: [string, Partial<Facts>, string, string, RegExp][] = [
    ['no route', { route: { problem: 'ECONNREFUSED' } }, 'route', 'FAIL', /^not_connected: .*ECONNREFUSED/],
    ['no name', { names: { problem: 'ENOTFOUND' } }, 'name', 'FAIL', /^not_connected: .*ENOTFOUND/],
    ['a bad certificate', { tls: { problem: 'CERT_HAS_EXPIRED' } }, 'tls', 'FAIL', /^not_connected: .*CERT_HAS_EXPIRED/],
    ['wrong clock', { clock: { here: 61_000, edge: 0 } }, 'clock', 'FAIL', /^wrong_clock: .* 61 s ahead/],
    ['a clock that drifts', { clock: { here: 0, edge: 10_000 } }, 'clock', 'WARN', /^wrong_clock: .* 10 s behind/],
    ['key refused', { challenge: refused('hotkey_refused') }, 'hotkey_accepted', 'FAIL', /^refused: no/],
    ['another origin', { challenge: replying({ origin: 'https://other' }) }, 'hotkey_accepted', 'FAIL', /^refused: .*https:\/\/other/],
    ['no edge at all', { challenge: refused('') }, 'hotkey_accepted', 'FAIL', /^not_connected: what answers is no Ripcord edge/],
    ['a silent edge', { challenge: { kind: 'silent', problem: 'ETIMEDOUT' } }, 'hotkey_accepted', 'FAIL', /^not_connected: .*ETIMEDOUT/],
    [
      'a device that judges found too slow',
      { proofs: [{ target: 'agt_1/cpu0', reason: 'too_slow', outcome: 'soft', rate: 1, class: null, at: 0 }] },
      'proofs',
      'WARN',
      /^cpu0: too_slow$/,
    ],
    ['others read the key', { hotkey: { is: { ss58: '5F', file: '/k', mode: 0o644 } } }, 'hotkey', 'WARN', /mode 644/],
    ['no key', { hotkey: { problem: 'this is not a Bittensor keyfile' } }, 'hotkey', 'FAIL', /keyfile/],
    ['old version', { challenge: replying({ versions: [9] }) }, 'protocol', 'FAIL', /^old_version: the edge speaks 9/],
    ['old version, refused', { challenge: refused('version_unsupported') }, 'protocol', 'FAIL', /^old_version: no/],
    ['a version that ends', { versions: [1] }, 'protocol', 'WARN', /^old_version: version 1 of 2/],
    ['an older agent', { challenge: replying({ newest: '0.10.0' }) }, 'version', 'WARN', /the newest is 0.10.0/],
    ['proxy cutting', { proxy: { address: 'p', problem: 'cut', cut: true } }, 'proxy', 'FAIL', /^socket_cut: cut/],
    ['proxy refusing', { proxy: { address: 'p', problem: 'it wants (407)', cut: false } }, 'proxy', 'FAIL', /^not_connected: .*407/],
    ['no WebSocket', { socket: { problem: '400' } }, 'websocket', 'FAIL', /^not_connected/],
    ['a session that is cut', { session: { problem: 'closed with code 1006' } }, 'websocket', 'FAIL', /^socket_cut: .*1006/],
    ['disk full', { diskFreeMb: 100 }, 'disk', 'FAIL', /^disk_full: 100 MB are free/],
    ['the images have no room', { engine: { socket: '/s', facts: 'x', rootFreeMb: 10 } }, 'disk', 'FAIL', /^disk_full/],
    ['a folder of another', { data: { problem: '/d cannot be written (EACCES)' } }, 'data', 'FAIL', /EACCES/],
    ['an agent that hangs', { status: null }, 'data', 'FAIL', /pid 1 holds .* does not answer/],
    ['engine hung', { engine: { socket: '/s', problem: 'no answer' } }, 'engine', 'FAIL', /^engine_down: \/s does not answer/],
    ['toolkit', { toolkit: '1.17.7' }, 'toolkit', 'FAIL', /^toolkit_unsafe: version 1.17.7/],
    ['no toolkit', { toolkit: null }, 'toolkit', 'WARN', /containers get no GPU/],
    ['a broken driver', { gpus: { devices: [], note: 'the driver is not loaded' } }, 'gpu', 'FAIL', /^no_gpu: the driver/],
    ['VRAM short', { offers: [offer('vram_short')] }, 'vram', 'WARN', /^vram_short: 1 of 1 offers/],
    ['price too high', { offers: [offer('pays_too_little')] }, 'price', 'WARN', /^pays_too_little/],
    ['nothing allowed', { offers: [offer('not_allowed')] }, 'leave', 'WARN', /^not_allowed/],
    ['no engine', { engine: null, offers: [offer('no_engine')] }, 'engine', 'WARN', /^no_engine/],
    ['no demand', { offers: [] }, 'demand', 'WARN', /^no_demand/],
    ['model not loaded', { engines: [{ chute: 'demo/x', problem: 'gave 503' }] }, 'models', 'FAIL', /^engine_unhealthy: demo\/x: gave 503/],
    ['model loading', { status: { ...status, instances: [instance] } }, 'models', 'WARN', /^engine_unhealthy: .*503/],
    ['it drains', { status: { ...status, draining: true } }, 'agent', 'WARN', /^leaving/],
    ['maintenance', { status: { ...status, maintenance: true } }, 'agent', 'WARN', /^maintenance/],
    ['not connected', { status: { ...status, link: { state: 'down', detail: 'x', since: 0 } } }, 'agent', 'FAIL', /^not_connected: .*: x/],
  ];
  test.each(FAULTS)('%s', (_, facts, id, level, cause) => {
    const check = found(facts, id);
    expect(check).toMatchObject({ status: level, cause: expect.stringMatching(cause) });
    expect(check?.fix).not.toBe('');
  });

  test('an offer that is open makes what keeps from others no fault', () => {
    expect(found({ offers: [offer('vram_short'), offer(null)] }, 'vram')).toMatchObject({ status: 'PASS' });
    expect(found({ offers: [offer('pays_too_little'), offer('claiming')] }, 'price')).toMatchObject({ status: 'PASS' });
  });
});

describe('the edge and the running agent have the last word', () => {
  const reasons = (code: WhyCode) => [{ code, count: 1, chutes: ['demo/x'] }];
  test.each(WHY_CODES.filter((code) => !HARMLESS.includes(code)).map((code) => [code]))('%s', (code) => {
    for (const facts of [{ edge: { reasons: reasons(code), connected: true } }, { status: { ...status, reasons: reasons(code) } }]) {
      const owner = CHECKS.find((check) => check.codes.includes(code));
      expect(found({}, owner?.id ?? ''), 'alone it would be well').toMatchObject({ status: expect.stringMatching(/PASS|SKIP/) });
      expect(found(facts, owner?.id ?? '')).toMatchObject({
        status: expect.stringMatching(/FAIL|WARN/),
        cause: expect.stringContaining(`${code}: `),
      });
    }
  });

  test('an agent that thinks it is connected is not, where the edge does not have it', () => {
    expect(found({ edge: { reasons: [], connected: false } }, 'agent')).toMatchObject({
      status: 'FAIL',
      cause: expect.stringMatching(/^not_connected: .*says the edge$/),
    });
  });

  test('each cause has one check that answers for it, and the harmless ones have none', () => {
    const answered = CHECKS.flatMap((check) => check.codes);
    expect([...answered, ...HARMLESS].sort()).toEqual([...WHY_CODES].sort());
  });

  test('a finding that is bad already says more and stays', () => {
    const facts: Partial<Facts> = { diskFreeMb: 100, edge: { reasons: reasons('disk_full'), connected: true } };
    expect(found(facts, 'disk')?.cause).toBe('disk_full: 100 MB are free');
  });
});

test('for people: a line each, what to do below what is not good, colour only where it is painted', () => {
  const checks = checksOf({ diskFreeMb: 100 });
  const plain = checksText(checks, (_, text) => text);
  expect(plain).toContain('FAIL  disk             disk_full: 100 MB are free\n');
  expect(plain).toContain('→ make room where the data folder lies');
  expect(plain.split('\n').at(-1)).toBe('1 failed, 0 to look at.');
  expect(plain).not.toContain('\x1b');
  expect(
    checksText(checksOf({}), (_, text) => text)
      .split('\n')
      .at(-1),
  ).toBe('Nothing is wrong.');
});
