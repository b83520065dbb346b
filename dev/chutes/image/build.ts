/** Bundles the program with its codecs, so that the packed folder runs where nothing is installed. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Writes server.mjs and worker.mjs into `folder`, the `dist` beside this file unless told. */
export async function buildImageChute(folder: string = here('dist')): Promise<void> {
  await build({
    entryPoints: [here('server.ts'), here('worker.ts')],
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // The codecs are CommonJS and load Node's own modules by `require`.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
}

if (import.meta.main) await buildImageChute();
