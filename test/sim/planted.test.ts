import { describe, expect, test } from 'vitest';
import { BUGS } from './planted/bugs.ts';
import { simulateWith } from './planted/plant.ts';

const SEEDS = 1_000;

describe.concurrent('planted bugs are found', { timeout: 120_000 }, () => {
  test.for(BUGS)('$name', async (bug) => {
    const { failure } = await simulateWith(bug, SEEDS);
    expect(failure, `not found within ${SEEDS} seeds`).not.toBeNull();
    console.log(`${bug.name}: seed ${failure?.seed}, ${failure?.message.split('\n')[0]}`);
  });
});
