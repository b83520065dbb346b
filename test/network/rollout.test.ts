/** The one instance of a chute is replaced, by a good version, by an older one, by one that crashes: callers notice nothing. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startLoad, type Load } from '../harness/load.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { userOf, type Running, type User } from '../harness/ripcord.ts';
import { until } from '../harness/until.ts';

interface Deployed {
  chute_id: string;
  name: string;
  version: string;
  created: boolean;
  live: boolean;
  instance_id: string | null;
}

interface Chute {
  name: string;
  version: string;
  public: boolean;
  instances: { instance_id: string; state: string; version: string }[];
  last_error: { message: string; crash_loop: boolean } | null;
}

interface Line {
  instance_id: string;
  seq: number;
  source: string;
  text: string;
}

let network: TestNetwork;
/** The account whose programs the network's miner runs. */
let demo: User;
/** One that has just come. */
let alice: User;
let load: Load | undefined;
let following: Running | undefined;

beforeAll(async () => {
  network = await startNetwork({ chutes: [] });
  demo = userOf(network, network.folder.folder('home', 'demo'), network.key);
  alice = userOf(network, network.folder.folder('home', 'alice'));
  await alice.json('register', 'alice');
});
afterEach(async () => {
  following?.child.kill('SIGKILL');
  await load?.stop();
  following = load = undefined;
});
afterAll(() => network?.close());

/** A folder with a program that takes a few milliseconds to tell its version, or that dies at its start. */
function writeProgram(version: string, { crash = false } = {}): string {
  const folder = network.folder.folder('program', version);
  writeFileSync(
    join(folder, 'chute.toml'),
    `name = "roll"\npublic = true\ncommand = ["node", "server.mjs"]\nstart_timeout = 20\nconcurrency = 4\nmin = 1\nmax = 1\n`,
  );
  writeFileSync(
    join(folder, 'server.mjs'),
    `import { createServer } from 'node:http';
console.log('first words of ${version}');
${crash ? `console.error('no weights for ${version}');\nprocess.exit(7);` : ''}
const answer = JSON.stringify({ version: '${version}', pid: process.pid });
createServer((request, response) => {
  if (request.url === '/upload') response.write('began: ');
  request.resume().on('end', () => setTimeout(() => response.end(answer), 5));
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'));
`,
  );
  return folder;
}

const get = (name: string) => demo.json<Chute>('chutes', 'get', name);
const said = (text: string) => JSON.parse(text) as { version: string; pid: number };
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** A call that is answered when the caller ends its upload; resolves when the program has it. */
async function startUpload(): Promise<{ end(): Promise<string> }> {
  let upload: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (controller) => void (upload = controller) });
  upload?.enqueue(new Uint8Array(1000));
  const headers = { authorization: `Bearer ${network.key}` };
  const reply = await fetch(`${network.api}/call/demo/roll/upload`, { method: 'POST', headers, body, duplex: 'half' } as RequestInit);
  return {
    end() {
      upload?.close();
      return reply.text();
    },
  };
}

/** Resolves when one instance is all there is, and it serves. */
function oneServes(version: string): Promise<unknown> {
  return until(`one instance of ${version} serves, nothing else`, async () => {
    const { instances } = (await (await network.request('/chutes/demo/roll')).json()) as Chute;
    const states = instances.map((i) => `${i.state} ${i.version}`).join();
    if (states !== `live ${version}`) throw new Error(states);
    return true;
  });
}

test('a mistake in chute.toml is refused with its line and the nearest right name', async () => {
  const folder = network.folder.folder('program', 'wrong');
  writeFileSync(join(folder, 'chute.toml'), 'name = "wrong"\ncommand = ["node", "x.mjs"]\nconcurency = 4\n\n[gpu]\nmin_vram = 16\n');
  const { code, out, error } = await demo.refused('deploy', folder);
  expect([code, out, error.code]).toEqual([2, '', 'invalid_config']);
  expect(error.message).toMatch(/chute\.toml:3: concurency: .*did you mean concurrency\?/);
  expect(error.message).toMatch(/chute\.toml:6: gpu\.min_vram: .*did you mean min_vram_gb\?/);
  expect(error['problems']).toMatchObject([
    { line: 3, field: 'concurency' },
    { line: 6, field: 'gpu.min_vram' },
  ]);
});

describe('a chute that is called without a pause', () => {
  let v1: Deployed;
  let v2: Deployed;

  test('a deploy and a rollback replace its instance without a failed call', async () => {
    v1 = await demo.json<Deployed>('deploy', writeProgram('v1'));
    following = demo.start('logs', 'roll', '-f', '--json');
    const lines = () =>
      (following?.out ?? '')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line);
    await until('the log of v1 is shown', () => lines().some(({ text }) => text === 'ready'));

    const calls = (load = startLoad(network, '/call/demo/roll/', 4));
    const newest = () => said(calls.answers.at(-1)?.text ?? '{}').version;
    const answered = (count: number) => until(`${count} calls`, () => calls.answers.length >= count);
    const upload = await startUpload();
    await answered(40);

    const deploying = performance.now();
    v2 = await demo.json<Deployed>('deploy', writeProgram('v2'));
    const live = performance.now();
    expect([v2.created, v2.live, v2.version === v1.version]).toEqual([true, true, false]);
    await until('v2 answers', () => newest() === 'v2');
    // What the old instance has, it may finish.
    expect((await upload.end()).replace(/"pid":\d+/, '')).toBe('began: {"version":"v1",}');
    await oneServes(v2.version);
    await answered(calls.answers.length + 40);
    expect(newest()).toBe('v2');

    const back = performance.now();
    expect(await demo.json('chutes', 'rollback', 'roll', v1.version.slice(0, 12))).toMatchObject({ version: v1.version });
    await until('v1 answers again', () => newest() === 'v1');
    await oneServes(v1.version);
    await answered(calls.answers.length + 40);
    await calls.stop();

    expect(calls.failed).toEqual([]);
    const all = calls.answers.map(({ caller, sent, over, text }) => ({ caller, sent, over, ...said(text) }));
    const firstV2 = all.find(({ version }) => version === 'v2')?.over ?? NaN;
    const lastV2 = all.findLast(({ version }) => version === 'v2')?.over ?? NaN;
    const lastOld = all.findLast(({ version, over }) => version === 'v1' && over < back)?.over ?? NaN;
    const firstOld = all.find(({ version, over }) => version === 'v1' && over > back)?.over ?? NaN;
    const ms = (from: number, to: number) => `${Math.round(to - from)} ms`;
    console.log(
      `  ${all.length} calls, slowest ${calls.slowestMs} ms; deploy: v2 after ${ms(deploying, firstV2)}, v1 until ${ms(deploying, lastOld)}, ` +
        `told after ${ms(deploying, live)}; rollback: v1 after ${ms(back, firstOld)}, v2 until ${ms(back, lastV2)}`,
    );
    // Each caller moves once there and once back.
    for (const caller of [0, 1, 2, 3]) {
      const seen = all.filter((answer) => answer.caller === caller).map(({ version }) => version);
      expect(seen.filter((version, i) => version !== seen[i - 1])).toEqual(['v1', 'v2', 'v1']);
    }
    const pids = [...new Set(all.map(({ pid }) => pid))];
    expect(pids).toHaveLength(3);
    await until('one program is left', () => pids.filter(isAlive).length === 1);
    expect(pids.findLast(isAlive)).toBe(pids[2]);

    // The log of every instance from its first byte, each line once.
    const words = () => {
      const ofPrograms = lines().filter(({ source }) => source !== 'edge');
      const byInstance = Map.groupBy(ofPrograms, (line) => line.instance_id);
      return [...byInstance.values()].map((of) => of.map(({ seq, source, text }) => `${seq} ${source} ${text}`));
    };
    await until('the log of three instances is shown', () => words().filter((of) => of.length >= 2).length === 3);
    expect(words()).toEqual(['v1', 'v2', 'v1'].map((version) => [`0 out first words of ${version}`, '1 out ready']));
    following.child.kill('SIGINT');
    const ended = await following.over;
    expect([ended.code, JSON.parse(ended.err)]).toEqual([130, { error: expect.objectContaining({ code: 'interrupted' }) }]);
  });

  test('the same content is the same version', async () => {
    const again = await demo.json<Deployed>('deploy', writeProgram('v1'));
    expect(again).toMatchObject({ version: v1.version, created: false, live: true });
    const { items } = await demo.json<{ items: { version: string; current: boolean }[] }>('chutes', 'versions', 'roll');
    expect(items.map(({ version, current }) => [version, current])).toEqual([
      [v1.version, true],
      [v2.version, false],
    ]);
  });

  test('what others own can be seen when it is public, and not be changed', async () => {
    const [shown, ...refused] = await Promise.all([
      alice.json<Chute>('chutes', 'get', 'demo/roll'),
      alice.refused('chutes', 'delete', 'demo/roll'),
      alice.refused('chutes', 'rollback', 'demo/roll', v2.version),
      alice.refused('logs', 'demo/roll'),
    ]);
    expect(shown.version).toBe(v1.version);
    for (const told of refused) {
      expect(told).toMatchObject({
        code: 1,
        out: '',
        error: { code: 'insufficient_scope', message: expect.any(String), hint: expect.any(String) },
      });
    }
    expect((await get('roll')).version).toBe(v1.version);
  });

  test('a version that crashes at its start is told as that, with its last words; the one before goes on', async () => {
    const calls = (load = startLoad(network, '/call/demo/roll/', 1));
    const { code, out, error } = await demo.refused('deploy', writeProgram('v3', { crash: true }));
    await calls.stop();
    expect([code, out, error.code]).toEqual([1, '', 'start_failed']);
    expect(error.message).toMatch(/keeps failing to start: exit code 7/);
    expect(error['log']).toEqual(['first words of v3', 'no weights for v3']);
    expect(error.hint).toMatch(/logs.*rollback/s);
    expect((await get('roll')).last_error).toMatchObject({ message: expect.stringContaining('exit code 7'), crash_loop: true });
    expect(calls.failed).toEqual([]);
    expect(new Set(calls.answers.map(({ text }) => said(text).version))).toEqual(new Set(['v1']));
    console.log(`  ${calls.answers.length} calls while it failed, slowest ${calls.slowestMs} ms`);

    expect(await demo.json('chutes', 'rollback', 'roll', v1.version)).toMatchObject({ version: v1.version });
    await oneServes(v1.version);
  });
});
