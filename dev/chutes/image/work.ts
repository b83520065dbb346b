import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { LIMITS, type Refusal, RefusedError } from './picture.ts';

export type Task = { path: '/transform' | '/label'; query: string; bytes: Uint8Array };
export type Result = { type: string; bytes: Uint8Array };

let busy = 0;

/** Works on a picture in a thread. Throws RefusedError for a bad picture, a late one, or when all threads are busy. */
export async function work(task: Task): Promise<Result> {
  if (busy >= LIMITS.workers) throw new RefusedError(503, 'busy', 'Every worker has a picture already; try again.');
  busy += 1;
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });
  try {
    const [answer] = (await once(worker, 'message', { signal: AbortSignal.timeout(LIMITS.workMs) })) as [Result | Refusal];
    if ('status' in answer) throw new RefusedError(answer.status, answer.code, answer.message);
    return answer;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AbortError') throw error;
    throw new RefusedError(422, 'too_slow', `The picture took longer than ${LIMITS.workMs} ms.`);
  } finally {
    busy -= 1;
    await worker.terminate();
  }
}
