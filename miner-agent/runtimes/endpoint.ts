/** Where a program takes its calls. */
export interface Endpoint {
  /** Its path is put in front of every call's. */
  url: URL;
  /** The Unix socket that leads there; null: the address of `url`. */
  socketPath: string | null;
}

/** What `http.request` needs to reach it. */
export function target({ url, socketPath }: Endpoint): { socketPath: string } | { host: string; port: number } {
  if (socketPath !== null) return { socketPath };
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port) };
}

/** A path of the program, behind the endpoint's own. */
export function pathAt(endpoint: Endpoint, path: string): string {
  return endpoint.url.pathname.replace(/\/$/, '') + path;
}
