/** The routes of a chute: those it lists, else those its adapter knows, else all. Edge and agents decide alike. */
import type { ChuteConfig, Cord } from './chute.ts';

type Routes = Pick<ChuteConfig, 'cords' | 'adapter'>;

const cord = (method: Cord['method'], path: string): Cord => ({ method, path, retry: method === 'GET' ? 'safe' : 'never' });

/** What images of other services are asked for. Not everything they answer: a cog image ends itself at `/shutdown`. */
const OF_ADAPTER: Record<NonNullable<ChuteConfig['adapter']>, Cord[]> = {
  cog: [
    cord('POST', '/predictions'),
    cord('PUT', '/predictions/{id}'),
    cord('POST', '/predictions/{id}/cancel'),
    cord('GET', '/health-check'),
    cord('GET', '/openapi.json'),
  ],
  runpod: [cord('POST', '/runsync'), cord('POST', '/stream'), cord('POST', '/run'), cord('GET', '/health')],
};

/** Empty: any method and path. */
export function cordsOf({ cords, adapter }: Routes): Cord[] {
  return cords.length > 0 || adapter === undefined ? cords : OF_ADAPTER[adapter];
}

/** The path whose GET tells whether it can serve: the config's, but for cog images, which have their own and none at `/health`. */
export function healthOf({ health, adapter }: Pick<ChuteConfig, 'health' | 'adapter'>): string {
  return adapter === 'cog' ? '/health-check' : health;
}

/** Routes that are measured in tokens. */
export const INFERENCE: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings']);

/** Whether a call may be sent again while no byte of a reply came: what its cord says, else GET, HEAD and inference routes. */
export function retrySafe(config: Routes & Pick<ChuteConfig, 'template'>, method: string, path: string): boolean {
  const bare = withoutQuery(path);
  const found = cordsOf(config).find((c) => c.method === method && leadsTo(c.path, bare));
  if (found !== undefined) return found.retry === 'safe';
  if (method === 'GET' || method === 'HEAD') return true;
  return config.template === 'openai' && method === 'POST' && INFERENCE.has(bare);
}

/** Whether a chute takes calls here: one that has cords takes those, and a GET of its health path. */
export function cordDeclared(config: Routes & Pick<ChuteConfig, 'health'>, method: string, path: string): boolean {
  const cords = cordsOf(config);
  if (cords.length === 0) return true;
  const bare = withoutQuery(path);
  if (method === 'GET' && bare === healthOf(config)) return true;
  return cords.some((c) => c.method === method && leadsTo(c.path, bare));
}

/** A part of a cord's path that is a name in braces stands for any one part, as in `/predictions/{id}`. */
function leadsTo(pattern: string, path: string): boolean {
  if (pattern === path) return true;
  if (!pattern.includes('{')) return false;
  const parts = path.split('/');
  const wanted = pattern.split('/');
  return wanted.length === parts.length && wanted.every((want, i) => want === parts[i] || (/^\{[^{}]+\}$/.test(want) && isName(parts[i])));
}

/** A dot part would lead elsewhere once the program resolves it. */
function isName(part = ''): boolean {
  return part !== '' && !/^(\.|%2e){1,2}$/i.test(part) && !/%2f/i.test(part);
}

function withoutQuery(path: string): string {
  return path.split('?', 1)[0] ?? path;
}
