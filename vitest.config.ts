import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** Real processes, one file at a time. */
const processes = { testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false };

/** Money as people meet it, and the ledger on a real Postgres: nothing here is about load, so two files run at a time. */
const MONEY = [
  'test/network/{books,money}/**/*.test.ts',
  'test/network/{balance,idempotency,metrics,paid,prices,story,stripe,usage}.test.ts',
];

/** Projects by folder: a test runs where its folder says. Groups run one after another, so that load never looks like a fault. */
export default defineConfig({
  test: {
    reporters: ['default'],
    // What a test prints is told where it failed.
    silent: 'passed-only',
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], sequence: { groupOrder: 0 } } },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: './test/workerd/wrangler.toml' } })],
        test: { name: 'workerd', include: ['test/workerd/**/*.test.ts'], sequence: { groupOrder: 1 } },
      },
      {
        test: {
          name: 'sim',
          include: ['test/sim/**/*.test.ts'],
          testTimeout: 600_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      { test: { name: 'money', include: MONEY, ...processes, fileParallelism: true, maxWorkers: 2, sequence: { groupOrder: 3 } } },
      { test: { name: 'network', include: ['test/network/**/*.test.ts'], exclude: MONEY, ...processes, sequence: { groupOrder: 4 } } },
      {
        test: {
          name: 'hostile',
          include: ['test/hostile/**/*.test.ts'],
          globalSetup: ['test/hostile/setup.ts'],
          ...processes,
          sequence: { groupOrder: 5 },
        },
      },
    ],
  },
});
