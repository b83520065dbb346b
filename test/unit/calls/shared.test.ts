import { expect, test } from 'vitest';
import { chuteConfigSchema } from '#protocol';
import type { Call, World } from '../../../functions/calls/call.ts';
import { conduct } from '../../../functions/calls/conduct.ts';
import type { AccountPort, OpenAsk, Snapshot } from '../../../functions/calls/ports.ts';
import { FREE } from '../../../functions/prices/now.ts';

const NOW = 1_700_000_000_000;

const snapshot = (part: Partial<Snapshot>): Snapshot => ({
  chute: 'cht_1',
  name: 'owner/demo',
  slug: 'owner-demo',
  owner: 'acc_owner',
  public: false,
  version: 'v',
  config: chuteConfigSchema.parse({ name: 'demo', command: ['run'] }),
  terms: [{ startsAt: 0, terms: FREE }],
  instances: [],
  at: NOW,
  ...part,
});

/** What the Account is asked, and how often the chute was; `remembered` is what the Worker knows, `now` what is so. */
async function asked(account: string, remembered: Snapshot, now: Snapshot): Promise<{ chute: OpenAsk['chute']; looks: boolean[] }> {
  const looks: boolean[] = [];
  let ask: OpenAsk | null = null;
  const port: Pick<AccountPort, 'open'> = {
    open: (it) => {
      ask = it;
      return Promise.resolve({ ok: false, code: 'not_found' });
    },
  };
  const world: Partial<World> = {
    find: (_, fresh) => {
      looks.push(fresh);
      return Promise.resolve(fresh ? now : remembered);
    },
    account: () => port as AccountPort,
    now: () => NOW,
    random: () => 0.5,
    weights: () => new Map(),
    sleep: () => Promise.resolve(),
  };
  const call: Call = {
    id: 'call',
    claim: { account, key: 'key_1', proof: '' },
    chute: 'cht_1',
    method: 'GET',
    path: '/',
    headers: [],
    body: null,
    bodyBytes: 0,
    maxTokens: null,
    stream: false,
    tokens: null,
    affinity: '',
    instance: null,
    signal: new AbortController().signal,
  };
  await conduct(call, world as World).catch(() => {});
  return { chute: (ask as OpenAsk | null)?.chute ?? null, looks };
}

const OLD = NOW - 2_000;
test.each<[string, string, Partial<Snapshot>, Partial<Snapshot>, boolean | undefined, number]>([
  ['it is shared with', 'acc_2', { shared: ['acc_1', 'acc_2'] }, {}, true, 1],
  ['it is shared with others only', 'acc_3', { shared: ['acc_1', 'acc_2'] }, {}, undefined, 1],
  ['the share was taken back of', 'acc_2', { shared: ['acc_2'], at: OLD }, {}, undefined, 2],
  ['it was just shared with', 'acc_2', { at: OLD }, { shared: ['acc_2'] }, true, 2],
  ['owns it', 'acc_owner', { at: OLD }, {}, undefined, 1],
  ['anybody may call', 'acc_2', { public: true, at: OLD }, { public: true }, undefined, 1],
])('an account that %s', async (_, account, remembered, now, shared, looks) => {
  const got = await asked(account, snapshot(remembered), snapshot(now));
  expect(got.chute?.shared).toBe(shared);
  expect(got.looks).toHaveLength(looks);
});
