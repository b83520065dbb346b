/** What a registry wants to see: `WWW-Authenticate` as the OCI distribution spec and RFC 9110 have it. Pure. */

export interface Challenge {
  scheme: 'basic' | 'bearer';
  /** Of bearer: where the token is, and what is told there. */
  realm: string | null;
  service: string | null;
  scope: string | null;
}

/** The first challenge that can be met, or null. */
export function challengeOf(header: string | null): Challenge | null {
  const found = /(?:^|,\s*)(bearer|basic)(?:\s+([^]*))?$/i.exec((header ?? '').slice(0, 4096));
  if (found === null) return null;
  const params = new Map<string, string>();
  for (const [, name = '', quoted, plain] of (found[2] ?? '').matchAll(/([a-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))/gi)) {
    const key = name.toLowerCase();
    if (!params.has(key)) params.set(key, quoted ?? plain ?? '');
  }
  const scheme = found[1]?.toLowerCase() === 'basic' ? 'basic' : 'bearer';
  const realm = params.get('realm') ?? null;
  if (scheme === 'bearer' && realm === null) return null;
  return { scheme, realm, service: params.get('service') ?? null, scope: params.get('scope') ?? null };
}
