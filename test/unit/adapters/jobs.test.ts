import { expect, test } from 'vitest';
import { Jobs, type JobResult } from '../../../miner-agent/adapters/runpod/jobs.ts';

function queue() {
  const jobs = new Jobs();
  const results: Record<string, JobResult> = {};
  const add = (id: string) =>
    jobs.add(
      id,
      { id },
      {
        output: () => {},
        done: (result) => {
          results[id] = result;
        },
      },
    );
  return { jobs, results, add };
}

test('at most 512 jobs wait', () => {
  const { jobs, add } = queue();
  for (let i = 0; i < 512; i++) expect(add(`j${i}`)).toBe(true);
  expect(add('more')).toBe(false);
  jobs.take(1, true);
  expect(add('more')).toBe(true);
});

test('at most 1024 ids wait to be stopped', () => {
  const { jobs } = queue();
  jobs.alive(Array.from({ length: 5000 }, (_, i) => `x${i}`));
  expect(jobs.takeStops()).toHaveLength(1024);
  expect(jobs.takeStops()).toEqual([]);
});

test('jobs go out in order; those that did not arrive go first again', () => {
  const { jobs, add } = queue();
  for (const id of ['a', 'b', 'c']) add(id);
  const taken = jobs.take(2, false);
  expect(taken.map(({ id }) => id)).toEqual(['a', 'b']);
  jobs.giveBack(taken);
  expect(jobs.take(9, false).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
});

test('a job that the worker still runs after its caller left is stopped again', () => {
  const { jobs, add } = queue();
  add('a');
  jobs.take(1, false);
  jobs.alive(['a']);
  expect(jobs.takeStops()).toEqual([]);
  jobs.cancel('a');
  expect(jobs.takeStops()).toEqual(['a']);
  jobs.alive(['a']);
  expect(jobs.takeStops()).toEqual(['a']);
});

test('a late result of a job that is over changes nothing', () => {
  const { jobs, results, add } = queue();
  add('a');
  jobs.take(1, false);
  jobs.done('a', { output: 1 });
  jobs.done('a', { output: 2 });
  expect(results['a']).toEqual({ status: 'COMPLETED', output: 1 });
  expect(jobs.counts).toEqual({ completed: 1, failed: 0 });
});

test('closing fails what waits and what runs, and takes nothing more', () => {
  const { jobs, results, add } = queue();
  add('a');
  add('b');
  jobs.take(1, false);
  jobs.close();
  expect(Object.values(results)).toEqual(Array(2).fill({ status: 'FAILED', error: 'the worker is stopping' }));
  expect(add('c')).toBe(false);
});

test('who waits is woken once by a job', () => {
  const { jobs, add } = queue();
  let woken = 0;
  jobs.wait(() => void woken++);
  add('a');
  add('b');
  expect(woken).toBe(1);
});
