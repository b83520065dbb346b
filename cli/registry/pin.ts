/** A version never changes, and a tag may: what is deployed names its image by digest. */
import { imageName, pinnedImage } from '#protocol';
import { usage } from '../failure.ts';
import { digestOf } from './digest.ts';
import { dockerLogin, type Login } from './login.ts';

export interface Pinning {
  /** Instead of what `docker login` wrote. */
  login: Login | null;
  env: Record<string, string | undefined>;
  signal: AbortSignal;
}

/** `host/repository@sha256:…` of an image as people write it; asks its registry only where the digest is not in the name. */
export async function pinImage(image: string, { login, env, signal }: Pinning): Promise<string> {
  const name = imageName(image);
  if (name === null) throw usage('invalid_config', `${image} is no name of an image.`, { hint: 'It looks like ghcr.io/alice/hello:1.' });
  if (name.digest !== null) return pinnedImage(name, name.digest);
  return pinnedImage(name, await digestOf({ name, login: login ?? (await dockerLogin(name.host, env)), signal }));
}
