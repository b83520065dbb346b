import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { NoManifest, treeOf, type FolderTree } from '../pack/manifest.ts';
import { size } from '../pack/pack.ts';
import { openSession } from '../session.ts';

export function addManifest(program: Command, io: Io): void {
  program
    .command('manifest')
    .summary('the [weights] of a folder with a model')
    .description(
      'Reads every file of a folder and prints the [weights] that make a chute.toml name exactly these bytes.\n' +
        'Miners start such a chute only where they have them, and judges ask for random pieces. Nothing is sent.',
    )
    .argument('<folder>', 'the folder with the files of the model')
    .addHelpText('after', '\nExample:\n  $ ripcord manifest models/tiny >> chute.toml')
    .action(async (folder: string, _options: object, command: Command) => {
      const session = await openSession(io, command, 'nothing');
      const { root, leaves, files } = await read(resolve(io.cwd, folder), folder, io.signal);
      const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
      const path = basename(resolve(io.cwd, folder));
      await session.note(`Read ${files.length} ${files.length === 1 ? 'file' : 'files'}, ${size(bytes)}.`);
      const toml = `[weights]\npath = ${JSON.stringify(path)}\nroot = "${root}"\nleaves = ${leaves}`;
      await session.result({ path, root, leaves, files: files.length, bytes }, toml);
    });
}

async function read(folder: string, given: string, signal: AbortSignal): Promise<FolderTree> {
  try {
    return await treeOf(folder, signal);
  } catch (error) {
    if (!(error instanceof NoManifest)) throw error;
    throw usage('no_manifest', `${given} has no manifest: ${error.message}.`, { hint: 'Give a folder that holds the files of a model.' });
  }
}
