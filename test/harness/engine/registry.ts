/** A registry for images (the part of the OCI distribution protocol that a pull needs) with one image of one file, on loopback. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import * as tar from 'tar';

export interface Registry {
  /** `127.0.0.1:PORT/test/app@sha256:…` */
  image: string;
  host: string;
  /** Requests that carried the right credentials, and those that did not. */
  seen: { authorized: number; unauthorized: number };
  close(): Promise<void>;
}

/** `folder` is the root of the image; `login` makes it private. */
export async function startRegistry(options: {
  folder: string;
  files: string[];
  entrypoint: string[];
  login?: { username: string; password: string };
  port?: number;
}): Promise<Registry> {
  const plain = await packed(options.folder, options.files);
  const layer = gzipSync(plain);
  const config = json({
    architecture: 'amd64',
    os: 'linux',
    config: { Entrypoint: options.entrypoint },
    rootfs: { type: 'layers', diff_ids: [digestOf(plain)] },
    history: [{ created: '1970-01-01T00:00:00Z' }],
  });
  const types = 'application/vnd.docker';
  const manifest = json({
    schemaVersion: 2,
    mediaType: `${types}.distribution.manifest.v2+json`,
    config: { mediaType: `${types}.container.image.v1+json`, size: config.length, digest: digestOf(config) },
    layers: [{ mediaType: `${types}.image.rootfs.diff.tar.gzip`, size: layer.length, digest: digestOf(layer) }],
  });
  const blobs = new Map([config, layer, manifest].map((bytes) => [digestOf(bytes), bytes]));
  const seen = { authorized: 0, unauthorized: 0 };
  const { login } = options;
  const wanted = login === undefined ? undefined : `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  const server = createServer((request, response) => {
    if (wanted !== undefined && request.headers.authorization !== wanted) {
      seen.unauthorized++;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"', 'content-type': 'application/json' });
      return void response.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
    }
    seen.authorized++;
    const digest = /sha256:[0-9a-f]{64}$/.exec(request.url ?? '')?.[0];
    const bytes = digest === undefined ? null : (blobs.get(digest) ?? null);
    if (request.url === '/v2/') return void response.end('{}');
    if (bytes === null) return void response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}');
    const type = bytes === manifest ? `${types}.distribution.manifest.v2+json` : 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-length': bytes.length, 'docker-content-digest': digestOf(bytes) });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    image: `${host}/test/app@${digestOf(manifest)}`,
    host,
    seen,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function packed(cwd: string, files: string[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of tar.create({ cwd, portable: true }, files)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
