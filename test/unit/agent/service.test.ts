/** The systemd unit: what stands in it, and what systemd itself says of it where it is installed. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { unitText, type UnitAsk } from '../../../miner-agent/service/unit.ts';

const ASK: UnitAsk = {
  command: [process.execPath, '/opt/ripcord/ripcord-miner.mjs', 'up', '--config', '/home/me/.ripcord/miner.toml'],
  writable: ['/home/me/.ripcord/miner/rig'],
  drainSeconds: 30,
  system: false,
  user: 'me',
  path: '/usr/bin:/bin',
};

const hasAnalyze = (() => {
  try {
    execFileSync('systemd-analyze', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe('the unit', () => {
  it.each([
    ['restarts, with more and more time between', /Restart=always\nRestartSec=2\nRestartSteps=6\nRestartMaxDelaySec=120/],
    ['ends with SIGTERM and waits longer than the drain', /KillSignal=SIGTERM\nTimeoutStopSec=60/],
    ['may gain no rights', /NoNewPrivileges=yes/],
    ['may write where its data lies and nowhere else', /ProtectSystem=strict\nReadWritePaths=-\/home\/me\/\.ripcord\/miner\/rig\n/],
    ['starts with the session of its user', /WantedBy=default\.target/],
  ])('%s', (_, what) => expect(unitText(ASK)).toMatch(what));

  it('of the machine runs as a user of it', () => {
    expect(unitText({ ...ASK, system: true })).toMatch(/User=me\n[^]*WantedBy=multi-user\.target/);
  });

  it('keeps words together and means no specifiers', () => {
    expect(unitText({ ...ASK, command: ['/a b/node', '100%', '$HOME', '"'] })).toContain('ExecStart="/a b/node" 100%% "$$HOME" "\\""');
  });

  it.skipIf(!hasAnalyze).each([false, true])('is one that systemd takes (of the machine: %s)', async (system) => {
    const file = join(mkdtempSync(join(tmpdir(), 'unit-')), 'ripcord-miner.service');
    writeFileSync(file, unitText({ ...ASK, system, user: 'root', writable: ['/tmp/with a blank'] }));
    const verify = promisify(execFile)('systemd-analyze', [...(system ? [] : ['--user']), 'verify', '--man=no', file], {
      env: { ...process.env, XDG_RUNTIME_DIR: process.env['XDG_RUNTIME_DIR'] ?? tmpdir() },
    });
    const said = await verify.catch((error: Error & { stderr?: string }) => ({ stderr: error.stderr ?? error.message }));
    // A systemd before 254 has no growing delay, and passes over it.
    const meant = said.stderr.split('\n').filter((line) => line.includes('ripcord-miner') && !/RestartSteps|RestartMaxDelaySec/.test(line));
    expect(meant).toEqual([]);
  });
});
