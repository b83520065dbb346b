/** A miner's machine in a test's network: `ripcord-miner` as a process of its own, and what the edge says of it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { WhyCode } from '#protocol';
import { hotkeyIn } from '../../dev/hotkeys.ts';
import { ROOT } from '../../dev/network.ts';
import { keyfileText } from '../../miner-agent/identity/keyfile.ts';
import type { TestNetwork } from './network.ts';
import { until } from './until.ts';

interface Found {
  id: string;
  status: string;
  cause: string;
  fix: string;
}

export interface RigWish {
  /** More lines of miner.toml. */
  config?: string;
  /** JavaScript that is loaded into every `ripcord-miner` before it starts. */
  module?: string;
  /** Of the hotkey, 64 hex digits. */
  seed?: string;
}

/** A miner's machine: a home, a config, programs of its own in front of the system's. */
export class Rig {
  readonly #api: string;
  readonly folder: string;
  readonly hotkey: string;
  readonly #env: Record<string, string>;
  #up: ChildProcess | null = null;
  #said = '';

  constructor(network: Pick<TestNetwork, 'api' | 'folder'>, name: string, { config = '', module = '', seed = '' }: RigWish = {}) {
    this.#api = network.api;
    this.folder = network.folder.folder('rigs', name);
    const keyFile = join(this.folder, 'hotkey');
    if (seed !== '') writeFileSync(keyFile, keyfileText(Buffer.from(seed, 'hex')), { mode: 0o600 });
    this.hotkey = hotkeyIn(keyFile).ss58;
    const lines = [`api = "${network.api}"`, `hotkey = "${keyFile}"`, `name = "${name}"`, `data = "${join(this.folder, 'data')}"`, config];
    writeFileSync(join(this.folder, 'miner.toml'), `${lines.join('\n')}\n`);
    mkdirSync(join(this.folder, 'bin'));
    this.#env = {
      HOME: this.folder,
      PATH: `${join(this.folder, 'bin')}:${dirname(process.execPath)}:/usr/bin:/bin`,
      // No engine of the machine that runs the tests.
      DOCKER_HOST: 'tcp://nowhere',
      ...(module === '' ? {} : { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(module)}` }),
    };
  }

  program(name: string, text: string): void {
    writeFileSync(join(this.folder, 'bin', name), text);
    chmodSync(join(this.folder, 'bin', name), 0o755);
  }

  up(): ChildProcess {
    this.#up = this.#run('up');
    this.#up.stdout?.on('data', (part: Buffer) => (this.#said += part.toString()));
    this.#up.stderr?.on('data', (part: Buffer) => (this.#said += part.toString()));
    return this.#up;
  }

  said(): string {
    return this.#said;
  }

  async doctor(): Promise<{ code: number | null; of: (id: string) => Found | undefined; text: string }> {
    const child = this.#run('doctor');
    let text = '';
    child.stdout?.on('data', (part: Buffer) => (text += part.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    const { checks, ...rest } = JSON.parse(text) as { checks: Found[] };
    expect(rest).toEqual({});
    for (const check of checks) expect(Object.keys(check)).toEqual(['id', 'status', 'cause', 'fix']);
    return { code, of: (id) => checks.find((check) => check.id === id), text };
  }

  /** As the edge tells everybody. */
  async why(): Promise<WhyCode[]> {
    const reply = await fetch(`${this.#api}/miners/${this.hotkey}/why`);
    const { agents = [] } = (await reply.json()) as { agents?: { reasons: { code: WhyCode }[] }[] };
    return agents.flatMap((agent) => agent.reasons.map((reason) => reason.code));
  }

  tells(...codes: WhyCode[]): Promise<unknown> {
    return until(
      `why says ${codes.join(', ')}`,
      async () => {
        const said = await this.why();
        if (codes.every((code) => said.includes(code))) return true;
        throw new Error(`it says ${said.join(', ')}; ${this.said().slice(-500)}`);
      },
      { deadlineMs: 60_000, everyMs: 200 },
    );
  }

  async end(): Promise<void> {
    if (this.#up === null || this.#up.exitCode !== null || this.#up.signalCode !== null) return;
    this.#up.kill('SIGTERM');
    await once(this.#up, 'exit');
  }

  #run(command: string, ...flags: string[]): ChildProcess {
    const args = [join(ROOT, 'miner-agent/bin.ts'), command, '--config', join(this.folder, 'miner.toml'), '--json', ...flags];
    return spawn(process.execPath, args, { cwd: this.folder, env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
  }
}
