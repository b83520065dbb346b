/** `npm run check:deploy`: both Workers bundle as `wrangler deploy` would, with the bindings their wrangler.toml names. */
import { statSync } from 'node:fs';
import { bundle } from './bundle.ts';
import { lineOf } from './failure.ts';
import { EDGE, JUDGE } from './network.ts';

/** Cloudflare's limit is 3 MB compressed on the free plan; a bundle over this has taken in what it should not. */
const LONGEST_BYTES = 2 * 1024 * 1024;

for (const worker of [EDGE, JUDGE]) {
  try {
    const { size } = statSync(await bundle(worker, new AbortController().signal));
    console.log(`${worker.name}: ${Math.ceil(size / 1024)} KiB`);
    if (size > LONGEST_BYTES) throw new Error(`The ${worker.name} is larger than ${LONGEST_BYTES} bytes.`);
  } catch (error) {
    console.error(lineOf(error));
    process.exitCode = 1;
  }
}
