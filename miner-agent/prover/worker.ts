/** The thread that works: one challenge after another, and the openings of those that are done. */
import { parentPort } from 'node:worker_threads';
import { proveWork, type WorkProof } from '#protocol/challenge/work.ts';
import type { FromWorker, ToWorker } from './words.ts';

const done = new Map<number, WorkProof>();

parentPort?.on('message', (word: ToWorker) => {
  try {
    const answer = hear(word);
    if (answer !== null) parentPort?.postMessage(answer);
  } catch (error) {
    const failed: FromWorker = { type: 'failed', id: word.id, message: error instanceof Error ? error.message : 'unknown error' };
    parentPort?.postMessage(failed);
  }
});

function hear(word: ToWorker): FromWorker | null {
  switch (word.type) {
    case 'prove': {
      const { id, work, stop } = word;
      const proof = proveWork(work, () => {
        if (Atomics.load(stop, 0) !== 0) throw new Error('stopped');
      });
      if (proof === null) throw new Error('there is no such profile');
      done.set(id, proof);
      return { type: 'proven', id, root: proof.root };
    }
    case 'open': {
      const proof = done.get(word.id);
      if (proof === undefined) throw new Error('there is no such proof');
      return { type: 'opened', id: word.id, bytes: proof.open(word.randomness) };
    }
    case 'drop':
      done.delete(word.id);
      return null;
  }
}
