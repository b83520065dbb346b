/** A folder with a chute.toml → a deployed version. */
import { join } from 'node:path';
import { cordsOf } from '#protocol';
import type { ChuteConfig, CodeRef } from '#protocol';
import type { Deployed } from './answers.ts';
import { readChuteToml } from './chute-toml/read.ts';
import type { Client } from './client.ts';
import { packFolder, size } from './pack/pack.ts';
import { pinImage, type Pinning } from './registry/pin.ts';

export interface Deployment extends Deployed {
  config: ChuteConfig;
  code: CodeRef | null;
}

type Note = (text: string) => unknown;

const PLAIN: Pinning = { login: null, env: process.env, signal: new AbortController().signal };

/**
 * Pins the image, or packs the folder, sends the code if the service has not got it, and deploys. Does not wait for an instance.
 * `note` gets a line per step. Throws a `Failure`.
 */
export async function deployFolder(client: Client, dir: string, note: Note = () => undefined, pinning = PLAIN): Promise<Deployment> {
  const { config: written, code: folder } = await readChuteToml(join(dir, 'chute.toml'));
  const config = await pinned(written, note, pinning);
  const code = folder === null ? null : await sendCode(client, folder, note);
  const deployed = await client.deploy(config, code);
  await note(`Deployed ${deployed.name}, version ${deployed.version.slice(0, 12)}.`);
  return { ...deployed, config, code };
}

async function pinned(config: ChuteConfig, note: Note, pinning: Pinning): Promise<ChuteConfig> {
  if (config.image === undefined) return config;
  const image = await pinImage(config.image, pinning);
  if (image !== config.image) await note(`Pinned ${config.image} to ${image}.`);
  return { ...config, image };
}

async function sendCode(client: Client, folder: string, note: Note): Promise<CodeRef> {
  const packed = await packFolder(folder);
  await note(
    `Packed ${packed.files} ${packed.files === 1 ? 'file' : 'files'}, ${size(packed.bytes)}, sha256 ${packed.sha256.slice(0, 12)}.`,
  );
  if (await client.hasBlob(packed.sha256)) await note('The service has this code already.');
  else await client.putBlob(packed.sha256, packed.data);
  const { sha256, bytes, manifest } = packed;
  return { sha256, bytes, manifest };
}

/** A curl line that calls the chute; the key comes from the environment. */
export function curlLine(origin: string, deployment: Pick<Deployment, 'name' | 'config'>): string {
  const { name, config } = deployment;
  const auth = `-H "Authorization: Bearer $RIPCORD_API_KEY"`;
  if (config.template === 'openai') {
    const body = JSON.stringify({ model: name, messages: [{ role: 'user', content: 'Hello' }] });
    return `curl ${origin}/v1/chat/completions ${auth} -H 'Content-Type: application/json' -d '${body}'`;
  }
  const cords = cordsOf(config);
  const cord = cords.find((c) => c.method === 'GET') ?? cords[0];
  const method = cord === undefined || cord.method === 'GET' ? '' : cord.method === 'HEAD' ? '-I ' : `-X ${cord.method} `;
  return `curl ${method}'${origin}/call/${name}${(cord?.path ?? '/').replaceAll("'", '%27')}' ${auth}`;
}
