/** A way to the stub engine. Every target gets the same bodies on the same path. */
export interface Target {
  name: TargetName;
  origin: string;
  headers: Record<string, string>;
  /** Processes between client and engine, by what they are: `edge`, `agent`, `gateway`. */
  processes: { role: string; pid: number }[];
  /** Calls it takes at a time. */
  concurrency: number;
  version: string;
  close(): Promise<void>;
}

/** `before`: another checkout of this project, see `--before`. */
export const TARGETS = ['direct', 'floor', 'portkey', 'before', 'ripcord'] as const;
export type TargetName = (typeof TARGETS)[number];
