/** What a program left is removed, whatever rights it took from itself. */
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const MODULE = new URL('../../../miner-agent/runtimes/remove-folder.ts', import.meta.url).href;
const NOBODY = 65_534;

/** As a user whom rights bind, which root is not. */
function removed(folder: string): boolean {
  const script = `import(${JSON.stringify(MODULE)}).then(({ removeFolder }) => {
    if (process.getuid() === 0) process.seteuid(${NOBODY});
    console.log(removeFolder(${JSON.stringify(folder)}));
  });`;
  return execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }).trim() === 'true';
}

test('folders that their owner may not change go all the same; links are not followed; what cannot go harms nobody', () => {
  const home = mkdtempSync(join(tmpdir(), 'rc-rm-'));
  const [kept, work] = [join(home, 'kept'), join(home, 'work')];
  const cache = join(work, 'go', 'mod');
  mkdirSync(kept);
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(kept, 'file'), '');
  writeFileSync(join(cache, 'file'), '');
  symlinkSync(kept, join(work, 'link'));
  if (process.getuid?.() === 0) for (const path of [home, work, join(work, 'go'), cache]) chownSync(path, NOBODY, NOBODY);
  chmodSync(cache, 0o500);
  chmodSync(join(work, 'go'), 0o000);
  chmodSync(home, 0o500);
  expect(removed(work)).toBe(false);
  chmodSync(home, 0o700);
  expect(removed(work)).toBe(true);
  expect([existsSync(work), existsSync(join(kept, 'file'))]).toEqual([false, true]);
  rmSync(home, { recursive: true, force: true });
});
