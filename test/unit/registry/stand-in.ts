/** A registry with one image, over real HTTP, that sends for a token as Docker Hub does. Each test turns one thing. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export const INDEX = 'application/vnd.oci.image.index.v1+json';
export const MANIFEST = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [] });
export const DIGEST = `sha256:${createHash('sha256').update(MANIFEST).digest('hex')}`;

export interface Turned {
  /** Status of the manifest instead of an answer. */
  status?: number;
  headers?: Record<string, string>;
  type?: string;
  /** Leaves the header with the digest out, or gives this. */
  digest?: string | null;
  /** `bearer`, `basic`, or the header itself; null: everybody may. */
  challenge?: string | null;
  /** Who may; else anonymous tokens are good. */
  login?: string;
  token?: unknown;
  tokenStatus?: number;
  /** Where the manifest is said to be. */
  redirect?: string;
  /** Never answers. */
  silent?: boolean;
  manifest?: string;
}

export class Registry {
  host = '';
  turned: Turned = {};
  readonly seen: { method: string; url: string; authorization: string | null; accept: string }[] = [];
  readonly #server = createServer((request, response) => this.#serve(request, response));

  async listen(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    const address = this.#server.address();
    this.host = typeof address === 'object' && address !== null ? `127.0.0.1:${address.port}` : '';
  }
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
  turn(turned: Turned): void {
    this.turned = turned;
    this.seen.length = 0;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { authorization = null, accept = '' } = request.headers;
    const url = new URL(request.url ?? '/', 'http://registry');
    this.seen.push({ method: request.method ?? '', url: request.url ?? '', authorization, accept });
    if (this.turned.silent === true) return;
    if (url.pathname === '/token') return this.#token(authorization, response);
    const { challenge = 'bearer' } = this.turned;
    if (challenge !== null && !this.#may(authorization)) {
      const bearer = `Bearer realm="http://${this.host}/token",service="registry.test",scope="repository:alice/app:pull"`;
      const header = challenge === 'bearer' ? bearer : challenge === 'basic' ? 'Basic realm="registry"' : challenge;
      return void response.writeHead(401, { 'www-authenticate': header }).end();
    }
    this.#manifest(request, url, response);
  }

  #token(authorization: string | null, response: ServerResponse): void {
    const { login, token = { token: 'good' }, tokenStatus = 200 } = this.turned;
    const denied = login !== undefined && authorization !== basic(login);
    response.writeHead(denied ? 401 : tokenStatus, { 'content-type': 'application/json' });
    response.end(typeof token === 'string' ? token : JSON.stringify(token));
  }

  #may(authorization: string | null): boolean {
    if (this.turned.challenge === 'basic') return authorization === basic(this.turned.login ?? '');
    return authorization === 'Bearer good';
  }

  #manifest(request: IncomingMessage, url: URL, response: ServerResponse): void {
    const { status, headers = {}, type = INDEX, digest = DIGEST, redirect, manifest = MANIFEST } = this.turned;
    if (redirect !== undefined && url.pathname !== '/moved') return void response.writeHead(307, { location: redirect }).end();
    if (status !== undefined) return void response.writeHead(status, headers).end();
    if (url.pathname !== '/moved' && url.pathname !== '/v2/alice/app/manifests/1.0') return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': type, ...(digest === null ? {} : { 'docker-content-digest': digest }), ...headers });
    response.end(request.method === 'HEAD' ? undefined : manifest);
  }
}

export function basic(login: string): string {
  return `Basic ${Buffer.from(login).toString('base64')}`;
}
