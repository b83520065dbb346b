/** The real path: a network that runs already, named by flags (a client key and the ids of its processes). */
import type { Target } from './target.ts';

export interface AttachOptions {
  origin: string;
  key: string;
  /** `edge=123,agent=456` */
  pids: string;
}

export function attachRipcord(options: AttachOptions): Target {
  const processes = options.pids
    .split(',')
    .filter((pair) => pair !== '')
    .map((pair) => pair.split('='))
    .map(([role, pid]) => ({ role: role ?? '', pid: Number(pid) }));
  return {
    name: 'ripcord',
    origin: options.origin,
    headers: { authorization: `Bearer ${options.key}` },
    processes,
    concurrency: Number.POSITIVE_INFINITY,
    version: 'attached',
    close: async () => {},
  };
}
