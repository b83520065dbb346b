/** What ends the programs of a supervisor that was killed itself. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Leash {
  /** Aborts when the start is given up: whatever waits for a part to come up stops waiting. */
  readonly signal: AbortSignal;
  hold(pid: number, signal: NodeJS.Signals): void;
  release(pid: number): void;
  /** The leash's own process ends; call it when every group is stopped. */
  drop(): Promise<void>;
}

/**
 * A shell that reads which groups live and waits for the end of its input, which comes also when the supervisor is
 * killed. Then it ends what is left: politely, and for good three seconds later.
 */
const LEASH = `
held=
while read -r op pid signal; do
  kept=
  for one in $held; do [ "\${one%:*}" = "$pid" ] || kept="$kept $one"; done
  [ "$op" = + ] && kept="$kept $pid:$signal"
  held=$kept
done
for one in $held; do kill -s "\${one#*:}" -- -"\${one%:*}" 2>/dev/null; done
[ -n "$held" ] && sleep 3
for one in $held; do kill -s KILL -- -"\${one%:*}" 2>/dev/null; done
`;

export function makeLeash(signal: AbortSignal = new AbortController().signal): Leash {
  const shell = spawn('sh', ['-c', LEASH, 'ripcord-leash'], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  shell.stdin.on('error', () => undefined);
  return {
    signal,
    hold: (pid, signal) => shell.stdin.write(`+ ${pid} ${signal.replace('SIG', '')}\n`),
    release: (pid) => shell.stdin.write(`- ${pid} -\n`),
    async drop() {
      if (shell.exitCode !== null || shell.signalCode !== null) return;
      const exited = once(shell, 'exit');
      shell.stdin.end();
      await exited;
    },
  };
}
