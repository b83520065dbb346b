/**
 * `node test/market/run.ts [--seed N] [--agents N] [--chutes N] [--hours N] [--fill X] [--json]`: the market under three policies, then
 * small worlds beside their optimum. Exits 1 if a bound is broken.
 */
import { parseArgs } from 'node:util';
import { BOUNDS, broken } from './bounds.ts';
import { runEconomy } from './economy.ts';
import { POLICIES, type PolicyName } from './policies.ts';
import { smallWorlds } from './small.ts';
import { table } from './table.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    agents: { type: 'string', default: '200' },
    chutes: { type: 'string', default: '500' },
    hours: { type: 'string', default: '24' },
    fill: { type: 'string', default: '0.38' },
    json: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const size = { seed, agents: Number(values.agents), chutes: Number(values.chutes), hours: Number(values.hours), fill: Number(values.fill) };
const SMALL_WORLDS = 200;

const policies = Object.keys(POLICIES) as PolicyName[];
const figures = policies.map((policy) => runEconomy({ ...size, policy }));
const small = policies.map((policy) => smallWorlds(seed, SMALL_WORLDS, policy));
const by = <T>(values: T[]) => Object.fromEntries(policies.map((policy, i) => [policy, values[i]]));
const [ours, random] = figures;
const wrong = ours === undefined || random === undefined ? ['nothing ran'] : broken(ours, random);
if ((small[0]?.share ?? 0) < BOUNDS.utilisation) wrong.push(`utilisation: ${small[0]?.share} is less than ${BOUNDS.utilisation}`);

if (values.json) console.log(JSON.stringify({ ...size, figures: by(figures), small: by(small), broken: wrong }));
else {
  console.log(table(policies, figures));
  for (const [i, policy] of policies.entries())
    console.log(`${SMALL_WORLDS} small worlds, ${policy}: ${small[i]?.share} of the optimum, ${small[i]?.worst} in the worst`);
  for (const line of wrong) console.log(`BROKEN ${line}`);
}
if (wrong.length > 0) process.exitCode = 1;
