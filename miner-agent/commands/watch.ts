/** Looks again each second: a screen drawn over itself on a terminal, one JSON object a line with `--json`, else text after text. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cli, Setting } from './cli.ts';

const LOOK_MS = 1_000;

/** Ends with the signal. */
export async function watch(cli: Cli, { json }: Setting, look: () => Promise<{ value: unknown; text: string }>): Promise<void> {
  while (!cli.signal.aborted) {
    const { value, text } = await look();
    if (json) cli.write(`${JSON.stringify(value)}\n`);
    else cli.write(cli.terminal ? `\x1b[H\x1b[2J${text}\n` : `${text}\n\n`);
    await sleep(LOOK_MS, undefined, { signal: cli.signal }).catch(() => undefined);
  }
}
