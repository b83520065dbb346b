/** Callers that call without a pause, and what became of every call. */
import type { TestNetwork } from './network.ts';

export interface Answer {
  caller: number;
  /** Of `performance.now()`. */
  sent: number;
  over: number;
  status: number;
  /** What came; of a call that broke, why. */
  text: string;
}

export interface Load {
  /** In the order they were over. */
  readonly answers: Answer[];
  /** Those that are no success. */
  readonly failed: Answer[];
  /** Milliseconds of the slowest. */
  readonly slowestMs: number;
  /** Resolves when every caller's last call is over. */
  stop(): Promise<void>;
}

/** Each caller sends a POST when the one before is over. */
export function startLoad(network: TestNetwork, path: string, callers: number): Load {
  const answers: Answer[] = [];
  let isOver = false;
  const one = async (caller: number) => {
    while (!isOver) {
      const sent = performance.now();
      const [status, text] = await post(network, path);
      answers.push({ caller, sent, over: performance.now(), status, text });
    }
  };
  const all = Promise.all(Array.from({ length: callers }, (_, caller) => one(caller)));
  return {
    answers,
    get failed() {
      return answers.filter(({ status }) => status !== 200);
    },
    get slowestMs() {
      return Math.round(Math.max(...answers.map(({ sent, over }) => over - sent)));
    },
    async stop() {
      isOver = true;
      await all;
    },
  };
}

async function post(network: TestNetwork, path: string): Promise<[number, string]> {
  try {
    const reply = await network.request(path, { body: {} });
    return [reply.status, await reply.text()];
  } catch (error) {
    return [0, error instanceof Error ? `${error.message}: ${String(error.cause)}` : String(error)];
  }
}
