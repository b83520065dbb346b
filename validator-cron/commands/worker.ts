/** The judge's Worker under plain workerd on this machine, and the clock that its cron is. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { EXIT, Failure } from '../../cli/failure.ts';
import { printable } from '../../cli/io.ts';
import { startTicker } from '../../dev/cron.ts';
import { makeLeash } from '../../dev/leash.ts';
import { JUDGE } from '../../dev/network.ts';
import { freePort, LOOPBACK } from '../../dev/ports.ts';
import { startWorker } from '../../dev/workerd.ts';
import type { Paint, Terminal } from './program.ts';
import { reachOf, type Settings } from './settings.ts';

interface Ask {
  terminal: Terminal;
  json: boolean;
  paint: Paint;
}

/** A tick may take so long, with the judge's own calls. */
const TICK_MS = 90_000;

/** One tick with everything in it. Throws `Failure` where the tick failed. */
export async function onceTick(settings: Settings, { terminal, json, paint }: Ask): Promise<void> {
  await using judge = await startJudge(settings, terminal);
  const reply = await fetch(`${judge.origin}/internal/cron?whole`, {
    method: 'POST',
    headers: { authorization: `Bearer ${judge.token}` },
    signal: AbortSignal.any([terminal.signal, AbortSignal.timeout(TICK_MS)]),
  });
  const report: unknown = await reply.json();
  if (!reply.ok)
    throw new Failure(EXIT.unreachable, 'tick_failed', 'Nothing of the tick worked.', {
      hint: `See ${judge.logFile}; ripcord-validator status tells more.`,
    });
  terminal.out(json ? `${JSON.stringify(report)}\n` : `${lineOf(report, paint)}\n`);
}

/** Ticks every slot until the signal. */
export async function runTicks(settings: Settings, { terminal, json, paint }: Ask): Promise<void> {
  await using judge = await startJudge(settings, terminal);
  const { ss58 } = settings.config.hotkey;
  const every = settings.config.suite.cadence.slotSeconds;
  terminal.out(
    json
      ? `${JSON.stringify({ judge: ss58, log: judge.logFile })}\n`
      : `Judging as ${paint('bold', ss58)}, every ${every} s. Its log: ${judge.logFile}\n`,
  );
  const stop = startTicker([{ name: 'judge', origin: judge.origin, token: judge.token, everyMs: every * 1000 }], (line) =>
    terminal.err(`${line}\n`),
  );
  await new Promise<void>((resolve) =>
    terminal.signal.aborted ? resolve() : terminal.signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  await stop();
}

async function startJudge({ vars, dataFolder }: Settings, terminal: Terminal) {
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  const port = await freePort();
  const origin = `http://${LOOPBACK}:${port}`;
  const token = randomBytes(24).toString('hex');
  const logFile = join(dataFolder, 'judge.log');
  const leash = makeLeash(terminal.signal);
  const part = await startWorker(
    { ...JUDGE, vars: { ...vars, INTERNAL_TOKEN: token, SELF_ORIGIN: origin }, port, folder: dataFolder, logFile, mayFetch: reachOf(vars) },
    leash,
    (line) => terminal.err(`${line}\n`),
  );
  return {
    origin,
    token,
    logFile,
    async [Symbol.asyncDispose]() {
      await part.stop();
      await leash.drop();
    },
  };
}

const reportSchema = z.object({
  challenges: z.nullable(z.object({ due: z.number() })),
  verdicts: z.nullable(z.object({ judged: z.number(), left: z.number() })),
  calls: z.nullable(z.object({ observations: z.number(), ok: z.number() })),
  epochs: z.nullable(
    z.object({ closed: z.array(z.object({ state: z.string() })), weights: z.nullable(z.object({ state: z.string(), why: z.string() })) }),
  ),
  failures: z.array(z.object({ part: z.string(), reason: z.string() })),
});

/** A tick for people. */
export function lineOf(report: unknown, paint: Paint): string {
  const { challenges, verdicts, calls, epochs, failures } = z.parse(reportSchema, report);
  return [
    ...(challenges === null ? [] : [`challenges  ${challenges.due} due`]),
    ...(verdicts === null ? [] : [`verdicts    ${verdicts.judged} given, ${verdicts.left} left`]),
    ...(calls === null ? [] : [`calls       ${calls.ok} of ${calls.observations} good`]),
    ...(epochs === null ? [] : [`epochs      ${epochsText(epochs.closed)}`]),
    ...(epochs?.weights == null ? [] : [`weights     ${epochs.weights.state}: ${printable(epochs.weights.why)}`]),
    ...failures.map(({ part, reason }) => paint('red', `${part.padEnd(11)} failed: ${printable(reason)}`)),
  ].join('\n');
}

function epochsText(closed: readonly { state: string }[]): string {
  const count = (of: string): number => closed.filter(({ state }) => state === of).length;
  const passed = count('passed') === 0 ? '' : `, ${count('passed')} passed over`;
  return `${count('committed')} committed${passed}${count('unjudged') === 0 ? '' : ', one waits for verdicts'}`;
}
