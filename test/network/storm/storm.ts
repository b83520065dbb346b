/** So many sockets of light agents, a race for one grant, a full restart of the edge, the race again, and the market polled. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chuteConfigSchema } from '#protocol';
import { Client } from '../../../cli/client.ts';
import { startNetwork } from '../../harness/network.ts';

export interface StormFigures {
  agents: number;
  /** Grants of the one instance that is wanted: to all claims of a race. */
  grants: number;
  grantsAfter: number;
  /** Agents back after the restart, and milliseconds from the loss of the last socket until they were. */
  back: number;
  backMs: number;
  polls: { polls: number; failed: number; p50: number; p99: number; bytes: number };
}

export async function storm(ask: { agents: number; pollers: number; pollMs: number }): Promise<StormFigures> {
  const network = await startNetwork({ agents: 0, chutes: [] });
  const light = spawn(process.execPath, [join(import.meta.dirname, 'agents.ts'), network.api], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const lines = createInterface({ input: light.stdout })[Symbol.asyncIterator]();
    const answer = async <T>() => JSON.parse((await lines.next()).value ?? 'null') as T;
    const tell = (command: object) => light.stdin.write(`${JSON.stringify(command)}\n`);
    await answer();
    const image = `example.com/one@sha256:${'0'.repeat(64)}`;
    const config = chuteConfigSchema.parse({ name: 'one', public: true, image, port: 80, min: 1, max: 1 });
    const { chute_id: chute, version } = await new Client(network).deploy(config, null);
    tell({ open: ask.agents });
    await answer();
    tell({ claim: { chute, version } });
    const first = await answer<{ grants: number }>();
    tell({ watch: 1 });
    await network.edge.restart();
    await answer();
    const { back, ms } = await answer<{ back: number; ms: number }>();
    tell({ claim: { chute, version } });
    const second = await answer<{ grants: number }>();
    tell({ poll: { agents: ask.pollers, everyMs: 5_000, forMs: ask.pollMs } });
    const polls = await answer<StormFigures['polls']>();
    return { agents: ask.agents, grants: first.grants, grantsAfter: second.grants, back, backMs: Math.round(ms), polls };
  } finally {
    light.kill('SIGKILL');
    await network.close();
  }
}
