/** The world of a call in a Worker: objects behind their stubs, snapshots from this isolate's memory. */
import { connect, readWeights } from '#db';
import type { Env } from '../env.ts';
import { minerCalls } from '../miner/client.ts';
import { accountStub, chuteStub, minerStub } from '../stubs.ts';
import type { World } from './call.ts';
import { Finder } from './find.ts';
import type { AccountPort, ChutePort, Snapshot } from './ports.ts';
import { WeightsCopy } from './weights.ts';

const finder = new Finder();
const weights = new WeightsCopy();

export function worldOf(env: Env, background: (work: Promise<unknown>) => void): World {
  return {
    find: (chute, fresh) =>
      finder.find(chute, fresh, Date.now(), (id) => chuteStub(env, id).snapshot() as Promise<Snapshot | null>, background),
    weights: () => weights.get(Date.now(), () => readWeights(connect(env)), background),
    fold: (chute, instance, code, busy) => finder.fold(chute, instance, code, busy),
    account: (id) => accountStub(env, id) as unknown as AccountPort,
    chute: (id) => chuteStub(env, id) as unknown as ChutePort,
    miner: (agent) => minerCalls(minerStub(env, agent)),
    now: () => Date.now(),
    random: () => Math.random(),
    sleep: (ms) => scheduler.wait(ms),
  };
}
