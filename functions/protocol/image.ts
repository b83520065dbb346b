/** Names of images, as people and registries write them. Pure; after the grammar of the OCI distribution spec 1.1. */

export interface ImageName {
  /** Where the registry answers: `registry-1.docker.io` is asked for `docker.io`. */
  host: string;
  /** `library/nginx`, without the host. */
  repository: string;
  tag: string | null;
  /** `sha256:` and 64 hex digits. */
  digest: string | null;
}

const HOST = /^(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+(?=:)|\[[0-9a-f:]+\](?=:))(:[0-9]{1,5})?$/i;
const REPOSITORY = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** `nginx` is `docker.io/library/nginx`. Null for what is no name of an image. */
export function imageName(text: string): ImageName | null {
  if (text.length > 512) return null;
  const [named = '', digest = null, ...more] = text.split('@');
  if (more.length > 0 || (digest !== null && !DIGEST.test(digest))) return null;
  const colon = named.lastIndexOf(':');
  const tagged = colon > named.lastIndexOf('/');
  const tag = tagged ? named.slice(colon + 1) : null;
  if (tag !== null && !TAG.test(tag)) return null;
  const path = tagged ? named.slice(0, colon) : named;
  const slash = path.indexOf('/');
  const first = slash === -1 ? '' : path.slice(0, slash);
  const hosted = HOST.test(first);
  const host = hosted ? first.toLowerCase() : 'docker.io';
  const rest = hosted ? path.slice(slash + 1) : path;
  const repository = host === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest;
  return REPOSITORY.test(repository) && repository.length <= 255 ? { host, repository, tag, digest } : null;
}

/** The one form a version keeps: `host/repository@sha256:…`. */
export function pinnedImage({ host, repository }: ImageName, digest: string): string {
  return `${host}/${repository}@${digest}`;
}

/** Whether it is in that form, so that it names the same bytes for ever. */
export function isPinned(text: string): boolean {
  const name = imageName(text);
  return name !== null && name.digest !== null && pinnedImage(name, name.digest) === text;
}
