import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { extract } from 'tar';
import { expect, test } from 'vitest';
import { readChuteToml } from '../../../cli/chute-toml/read.ts';
import { packFolder } from '../../../cli/pack/pack.ts';
import { buildImageChute } from '../../../dev/chutes/image/build.ts';
import { startProgram } from './program.ts';

const chutes = fileURLToPath(new URL('../../../dev/chutes', import.meta.url));

async function unpacked(code: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chute-'));
  const { data } = await packFolder(code);
  await pipeline([data], extract({ cwd: folder }));
  return folder;
}

test.each(['chat', 'embed', 'image'])('%s runs from its packed folder alone', async (name) => {
  if (name === 'image') await buildImageChute();
  const { config, code } = await readChuteToml(join(chutes, name, 'chute.toml'));
  const folder = await unpacked(code ?? '');
  const program = await startProgram(folder, config.command?.[1] ?? '', config.env);
  try {
    expect((await fetch(program.url + config.health)).status).toBe(200);
  } finally {
    await program.stop();
    await rm(folder, { recursive: true });
  }
});

test('the same code is packed to the same bytes', async () => {
  await buildImageChute();
  const first = await packFolder(join(chutes, 'image/dist'));
  await buildImageChute();
  expect((await packFolder(join(chutes, 'image/dist'))).sha256).toBe(first.sha256);
});
