/** What is done about an epoch's weights, fact by fact. */
import { expect, test } from 'vitest';
import type { Subnet } from '../../../functions/chain/subnet.ts';
import { findSubmission, planPost, wasDropped, type PostFacts, type Submission } from '../../../validator-cron/chain/plan.ts';
import { sameWeights } from '../../../validator-cron/chain/same-weights.ts';

const SELF = 'judge';
const neuron = (uid: number, hotkey: string, more: Partial<Subnet['neurons'][number]> = {}) => ({
  uid,
  hotkey,
  coldkey: `cold-${hotkey}`,
  permit: false,
  stake: 0n,
  incentive: 0,
  emission: 0n,
  registeredBlock: 1,
  lastUpdate: 0,
  ...more,
});
const judge = (more: Partial<Subnet['neurons'][number]> = {}) => neuron(0, SELF, { permit: true, stake: 1_000n, lastUpdate: 100, ...more });

const subnet = (of: Partial<Subnet> = {}): Subnet => ({
  netuid: 7,
  head: { number: 1_000, hash: '0x' },
  headMs: 5_000_000,
  runtime: { spec: 424, transaction: 1 },
  neurons: [judge(), neuron(1, 'a'), neuron(2, 'b')],
  owner: 'owner',
  clock: { tempo: 360, last: 800, pending: 0, index: 12, since: 200 },
  revealPeriod: 1,
  commitReveal: true,
  commitVersion: 4,
  rateLimit: 100,
  versionKey: 0n,
  minAllowed: 2,
  stakeThreshold: 1_000n,
  beaconRound: 1,
  commits: [],
  weights: [],
  nonce: 4,
  ...of,
});

const WEIGHTS = { uids: [1, 2], values: [40_000, 25_535] };
const facts = (of: Partial<PostFacts> = {}): PostFacts => ({
  subnet: subnet(),
  hotkey: SELF,
  epoch: 3_600,
  weights: WEIGHTS,
  last: null,
  shape: { faults: [], blockMs: 12_000 },
  nowMs: 5_030_000,
  ...of,
});

const sent = (of: Partial<Submission> = {}): Submission => ({
  epoch: 3_600,
  kind: 'commit',
  weights: WEIGHTS,
  extrinsic: '0x00',
  hash: '0x11',
  nonce: 4,
  birth: 980,
  death: 1_044,
  round: 77,
  block: null,
  chainEpoch: null,
  ...of,
});

test.each<[string, Partial<PostFacts>, string, RegExp]>([
  ['weights are committed', {}, 'commit', /committed/],
  ['or set, where the subnet says so', { subnet: subnet({ commitReveal: false }) }, 'set', /openly/],
  ['a runtime that is not known', { shape: { faults: ['call x: [7,1]'], blockMs: 12_000 } }, 'refuse', /runtime 424 .* call x/],
  ['one that does not say its time', { shape: { faults: [], blockMs: 0 } }, 'refuse', /how long a block/],
  ['a node that is behind', { nowMs: 5_000_000 + 600_001 }, 'wait', /minutes behind/],
  ['not registered', { hotkey: 'nobody' }, 'refuse', /not registered on subnet 7: register/],
  [
    'no permit',
    { subnet: subnet({ neurons: [judge({ permit: false }), neuron(1, 'a'), neuron(2, 'b')] }) },
    'refuse',
    /no validator permit/,
  ],
  ['too little stake', { subnet: subnet({ stakeThreshold: 1_001n }) }, 'refuse', /stake of 1000 rao, the subnet wants 1001/],
  [
    'the owner needs neither',
    { subnet: subnet({ owner: SELF, stakeThreshold: 9_999n, neurons: [judge({ permit: false }), neuron(1, 'a'), neuron(2, 'b')] }) },
    'commit',
    /committed/,
  ],
  ['no weights', { weights: { uids: [], values: [] } }, 'refuse', /no weights/],
  ['more uids than values', { weights: { uids: [1, 2], values: [1] } }, 'refuse', /no weights/],
  ['a uid that is not there', { weights: { uids: [1, 3], values: [1, 1] } }, 'refuse', /not there/],
  ['a uid twice', { weights: { uids: [1, 1], values: [1, 1] } }, 'refuse', /twice/],
  ['too few', { weights: { uids: [1], values: [65_535] } }, 'refuse', /2 uids or more, these are of 1/],
  ['few, but all there are', { subnet: subnet({ minAllowed: 1_024 }), weights: { uids: [0, 1, 2], values: [1, 1, 1] } }, 'commit', /./],
  [
    'too early by a block',
    { subnet: subnet({ neurons: [judge({ lastUpdate: 902 }), neuron(1, 'a'), neuron(2, 'b')] }) },
    'wait',
    /again at block 1002/,
  ],
  ['just in time', { subnet: subnet({ neurons: [judge({ lastUpdate: 901 }), neuron(1, 'a'), neuron(2, 'b')] }) }, 'commit', /./],
  ['never before', { subnet: subnet({ neurons: [judge({ lastUpdate: 0 }), neuron(1, 'a'), neuron(2, 'b')] }) }, 'commit', /./],
  ['commits of another version', { subnet: subnet({ commitVersion: 5 }) }, 'refuse', /version 5, known is 4/],
  ['no epochs', { subnet: subnet({ clock: { tempo: 0, last: 0, pending: 0, index: 0, since: 0 } }) }, 'wait', /no epochs/],
  [
    'ten commits in one epoch',
    { subnet: subnet({ commits: Array.from({ length: 10 }, (_, i) => ({ hotkey: SELF, epoch: 12, block: i, round: i })) }) },
    'wait',
    /10 commits/,
  ],
  [
    'ten commits of others, or before',
    {
      subnet: subnet({
        commits: Array.from({ length: 20 }, (_, i) => ({ hotkey: i < 10 ? SELF : 'a', epoch: i < 10 ? 11 : 12, block: i, round: i })),
      }),
    },
    'commit',
    /./,
  ],
  ['sent and not seen', { last: sent() }, 'wait', /no finalized block/],
  ['sent for the epoch before, and not seen', { last: sent({ epoch: 0 }) }, 'wait', /no finalized block/],
  ['failed in its block', { last: sent(), subnet: subnet({ nonce: 5 }) }, 'wait', /failed in its block/],
  ['lost: its era is over', { last: sent({ death: 1_001 }) }, 'commit', /last try/],
  ['its last block is not final', { last: sent({ death: 1_002 }) }, 'wait', /no finalized block/],
  ['lost for the epoch before', { last: sent({ epoch: 0, death: 1_001 }) }, 'commit', /committed/],
  ['confirmed', { last: sent({ block: 990, chainEpoch: 12 }) }, 'confirmed', /commit is on the chain/],
  ['confirmed openly', { last: sent({ kind: 'set', block: 990 }) }, 'confirmed', /weights are on the chain/],
  ['the one before is confirmed', { last: sent({ epoch: 0, block: 990, chainEpoch: 12 }) }, 'commit', /committed/],
  ['a later epoch was signed', { last: sent({ epoch: 7_200, block: 990 }) }, 'refuse', /later epoch/],
  ['it did not open', { last: sent({ block: 500, chainEpoch: 10 }) }, 'commit', /did not open/],
  ['it can open still', { last: sent({ block: 500, chainEpoch: 11 }) }, 'confirmed', /./],
  [
    'it opened',
    {
      last: sent({ block: 500, chainEpoch: 10 }),
      subnet: subnet({
        weights: [
          [1, 65_535],
          [2, 41_836],
        ],
      }),
    },
    'confirmed',
    /./,
  ],
  [
    'what the chain has cannot be told',
    { last: sent({ block: 500, chainEpoch: 10 }), subnet: subnet({ weights: null }) },
    'confirmed',
    /./,
  ],
])('%s', (_, of, due, why) => {
  const plan = planPost(facts(of));
  expect([plan.do, plan.why]).toEqual([due, expect.stringMatching(why)]);
});

test('the same bytes are sent again only while they can be in a block', () => {
  expect(planPost(facts({ last: sent() }))).toHaveProperty('resend', true);
  expect(planPost(facts({ last: sent(), subnet: subnet({ nonce: 5 }) }))).not.toHaveProperty('resend');
  expect(planPost(facts({ nowMs: 9_999_999 }))).not.toHaveProperty('resend');
});

const commit = { hotkey: SELF, epoch: 12, block: 990, round: 77 };
test.each<[string, Partial<Submission>, Partial<Subnet>, ReturnType<typeof findSubmission>]>([
  ['a commit', {}, { commits: [commit] }, { block: 990, chainEpoch: 12 }],
  ["another's", {}, { commits: [{ ...commit, hotkey: 'a' }] }, null],
  ['of another round', {}, { commits: [{ ...commit, round: 78 }] }, null],
  ['one before it', {}, { commits: [{ ...commit, block: 980 }] }, null],
  [
    'one that has opened',
    {},
    {
      neurons: [judge({ lastUpdate: 995 })],
      weights: [
        [1, 65_535],
        [2, 41_836],
      ],
    },
    { block: 995, chainEpoch: null },
  ],
  [
    'weights',
    { kind: 'set' },
    {
      neurons: [judge({ lastUpdate: 995 })],
      weights: [
        [1, 65_535],
        [2, 41_836],
      ],
    },
    { block: 995, chainEpoch: null },
  ],
  [
    'the same weights from before',
    { kind: 'set' },
    {
      weights: [
        [1, 65_535],
        [2, 41_836],
      ],
    },
    null,
  ],
  ['other weights', { kind: 'set' }, { neurons: [judge({ lastUpdate: 995 })], weights: [[1, 65_535]] }, null],
  ['a commit is not of a set', { kind: 'set' }, { commits: [commit] }, null],
])('found: %s', (_, last, of, due) => {
  expect(findSubmission(sent(last), subnet(of), SELF)).toEqual(due);
});

test('open weights do not drop', () => {
  expect(wasDropped(sent({ kind: 'set', block: 990 }), subnet())).toBe(false);
});

test.each<[[number, number][], boolean]>([
  [
    [
      [1, 65_535],
      [2, 41_835],
    ],
    true,
  ],
  [
    [
      [1, 65_535],
      [2, 41_836],
    ],
    true,
  ],
  [
    [
      [2, 41_836],
      [1, 65_535],
    ],
    true,
  ],
  [
    [
      [1, 40_000],
      [2, 25_535],
    ],
    false,
  ],
  [
    [
      [1, 65_535],
      [2, 41_838],
    ],
    false,
  ],
  [
    [
      [1, 65_535],
      [2, 41_836],
      [3, 1],
    ],
    false,
  ],
  [
    [
      [1, 65_535],
      [2, 41_836],
      [3, 0],
    ],
    true,
  ],
  [[[1, 65_535]], false],
  [
    [
      [1, 65_535],
      [3, 41_836],
    ],
    false,
  ],
  [[], false],
])('%j are these weights: %s', (kept, due) => {
  expect(sameWeights(WEIGHTS, kept)).toBe(due);
});
