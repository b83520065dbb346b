/** `ripcord-miner drain`: the agent takes nothing new, lets calls end, and leaves; as SIGTERM does. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import * as z from 'zod/mini';
import { interrupted, usage } from '../../cli/failure.ts';
import { askAgent } from '../control/client.ts';
import { many } from '../display/text.ts';
import { result, Setting, withShared, type Cli } from './cli.ts';
import { runningStatus } from './status.ts';

const drainedSchema = z.object({ instances: z.number(), within_ms: z.number() });
const POLL_MS = 100;

export function addDrain(program: Command, cli: Cli): void {
  withShared(program.command('drain'))
    .summary('let running calls end, then leave')
    .description(
      'Ends the running agent: no new calls, those that run may end within the time, then it leaves. Under systemd it is started again; stop the service instead.',
    )
    .option('--within <seconds>', 'how long calls may run on (default: drain_seconds of the config, 30)')
    .option('--wait', 'return when it has left')
    .action(async (options: { within?: string; wait?: boolean }, command: Command) => {
      const setting = new Setting(command);
      const body = options.within === undefined ? {} : { within_seconds: secondsOf(options.within) };
      const { instances, within_ms } = await askAgent(setting.dataFolder, ['POST', '/drain'], drainedSchema, body);
      if (options.wait === true) await gone(setting.dataFolder, cli.signal);
      const left = options.wait === true;
      const text = left ? 'It has left.' : `It is leaving: ${many(instances, 'instance')} may end calls for ${within_ms / 1000} s.`;
      result(cli, setting, { instances, within_ms, left }, text);
    });
}

async function gone(dataFolder: string, signal: AbortSignal): Promise<void> {
  while ((await runningStatus(dataFolder)) !== null) {
    await sleep(POLL_MS);
    if (signal.aborted) throw interrupted();
  }
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= 0 && seconds <= 3600))
    throw usage('invalid_seconds', `--within takes 0 to 3600 seconds, not ${JSON.stringify(text)}.`);
  return seconds;
}
