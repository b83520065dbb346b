/** `node test/sim/run.ts --seed N` replays one seed with its trace; `--from N --runs N [--json]` runs many. */
import { parseArgs } from 'node:util';
import { listed, runSeeds } from './batch.ts';
import { Sim } from './sim.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    runs: { type: 'string', default: '100' },
    json: { type: 'boolean', default: false },
  },
});

if (values.seed !== undefined) {
  const sim = new Sim(Number(values.seed), true);
  try {
    await sim.run();
    console.log(`seed ${values.seed}: all invariants hold, trace ${sim.trace.hash}`);
  } catch (error) {
    console.log(`seed ${values.seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exitCode = 1;
  }
} else {
  const result = await runSeeds(Number(values.from), Number(values.runs));
  if (values.json) console.log(JSON.stringify(result));
  else {
    console.log(`FAULTS\n${listed(result.faults)}\n\nEVENTS\n${listed(result.events)}\n`);
    console.log(`${result.runs} runs, ${result.calls} calls, trace ${result.hash}, ${Math.round(result.wallMs)} ms`);
    if (result.failure !== null) console.log(`\nseed ${result.failure.seed}: ${result.failure.message}\n${result.failure.last.join('\n')}`);
  }
  process.exitCode = result.failure === null ? 0 : 1;
}
