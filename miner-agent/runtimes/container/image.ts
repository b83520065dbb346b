/** References to images: by digest only, since a tag is whatever its registry says today. Pure. */
import { imageName, pinnedImage } from '#protocol';
import type { RegistryCredential, Secrets } from '#protocol';
import { StartFailed } from '../runtime.ts';

export interface Image {
  /** Host of the registry, `docker.io` where none is named. */
  registry: string;
  /** As both engines name it: `docker.io/library/alpine@sha256:…`. */
  name: string;
  digest: string;
}

/** Throws `StartFailed` for a tag or what is no reference. */
export function parseImage(reference: string): Image {
  const name = imageName(reference);
  if (name === null) throw new StartFailed(`${shown(reference)} is no image reference`);
  if (name.digest === null)
    throw new StartFailed(`the image ${shown(reference)} is not named by its digest; deploy again: ripcord deploy turns a tag into one`);
  return { registry: name.host, name: pinnedImage(name, name.digest), digest: name.digest };
}

const DOCKER = 'docker.io';
const DOCKER_NAMES = [DOCKER, 'index.docker.io', 'registry-1.docker.io'];

/** The credential meant for this image's registry, and no other's. */
export function credentialFor(image: Image, secrets: Secrets): RegistryCredential | null {
  const names = image.registry === DOCKER ? DOCKER_NAMES : [image.registry];
  return secrets.registries.find((r) => names.includes(r.server)) ?? null;
}

/** The value of `X-Registry-Auth`: JSON in base64url with its padding, without which engines read nothing. */
export function registryAuth(image: Image, credential: RegistryCredential): string {
  const serveraddress = image.registry === DOCKER ? 'https://index.docker.io/v1/' : image.registry;
  const { username, password } = credential;
  const text = Buffer.from(JSON.stringify({ username, password, serveraddress })).toString('base64url');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

function shown(reference: string): string {
  return JSON.stringify(reference.slice(0, 120));
}
