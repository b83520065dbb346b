import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Real processes, one file at a time. */
const processes = { testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false };

/** Whole networks and ledgers of which nothing is about load or time: they share the machine with each other and the simulator. */
const TOGETHER = [
  'test/network/{bank,books,judged,money,storm,twin}/**/*.test.ts',
  'test/network/{adapters,admission,balance,command,database,deploy,doctor,idempotency,judge,judges,metrics,miner-commands,openai,paid,prices,registered,rollout,routes,secrets,signer,stand-in,start-harness,start-refusals,story,stripe,supply,update,usage,why}.test.ts',
];
const SILENCE = 'test/hostile/silence.test.ts';
const HOSTILE_SETUP = ['test/hostile/setup.ts'];
const together = { fileParallelism: true, maxWorkers: 3, sequence: { groupOrder: 2 } };

/** What takes longest, most of it waiting: begun first, so that nothing is left to run alone at the end. */
const LONG = [
  'judged/judged',
  'sim/sim',
  'bank/outage',
  'bank/bank',
  'sim/planted',
  'books/command',
  'network/doctor',
  'network/idempotency',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONG.findIndex((name) => moduleId.endsWith(`${name}.test.ts`));
      return place < 0 ? LONG.length : place;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/** Projects by folder: a test runs where its folder says. Groups run one after another, so that load never looks like a fault. */
export default defineConfig({
  test: {
    reporters: ['default'],
    sequence: { sequencer: LongestFirst },
    // What a test prints is told where it failed.
    silent: 'passed-only',
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], maxWorkers: 3, sequence: { groupOrder: 0 } } },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: './test/workerd/wrangler.toml' } })],
        test: { name: 'workerd', include: ['test/workerd/**/*.test.ts'], sequence: { groupOrder: 1 } },
      },
      { test: { name: 'sim', include: ['test/{sim,market,economy}/**/*.test.ts'], testTimeout: 600_000, ...together } },
      { test: { name: 'together', include: TOGETHER, ...processes, ...together } },
      {
        // It waits out the silence of an agent, and nothing else.
        test: { name: 'silence', include: [SILENCE], globalSetup: HOSTILE_SETUP, ...processes, ...together },
      },
      { test: { name: 'network', include: ['test/network/**/*.test.ts'], exclude: TOGETHER, ...processes, sequence: { groupOrder: 3 } } },
      {
        test: {
          name: 'hostile',
          include: ['test/hostile/**/*.test.ts'],
          exclude: [SILENCE],
          globalSetup: HOSTILE_SETUP,
          ...processes,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
