/** Who asks a registry: what `docker login` wrote. Helper programs that keep passwords elsewhere are not run. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod/mini';

export interface Login {
  username: string;
  password: string;
}

/** Docker Hub goes by an older name there. */
const DOCKER_HUB = ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'];

const schema = z.object({ auths: z.optional(z.record(z.string(), z.object({ auth: z.optional(z.string()) }))) });

/** The login for a registry in Docker's config file; null where there is none, or no such file. */
export async function dockerLogin(host: string, env: Record<string, string | undefined>): Promise<Login | null> {
  const folder = env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker');
  try {
    const { auths = {} } = schema.parse(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')));
    const names = host === 'docker.io' ? DOCKER_HUB : [host, `https://${host}`, `https://${host}/v1/`, `https://${host}/v2/`];
    for (const name of names) {
      const login = loginOf(Object.hasOwn(auths, name) ? auths[name]?.auth : undefined);
      if (login !== null) return login;
    }
  } catch {
    // A file of another program: nothing in it is worth a failure here.
  }
  return null;
}

function loginOf(auth: string | undefined): Login | null {
  const text = Buffer.from(auth ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 1 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
