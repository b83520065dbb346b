/** What a cog model says of itself. Pure. */
import * as z from 'zod/mini';

/** `gone`: it will not come (back) by itself. */
export interface CogHealth {
  kind: 'ready' | 'not_yet' | 'gone';
  /** For the chute's owner. */
  detail: string;
}

/** Characters of the log of a setup that are told; its end says what went wrong. */
const LOG_CHARS = 400;

const schema = z.object({
  status: z.string(),
  setup: z.optional(z.nullable(z.object({ logs: z.optional(z.nullable(z.string())) }))),
  user_healthcheck_error: z.optional(z.nullable(z.string())),
});

/** Reads the body of `GET /health-check`. */
export function cogHealth(body: unknown): CogHealth {
  const parsed = schema.safeParse(body);
  if (!parsed.success) return { kind: 'not_yet', detail: '/health-check is not that of a cog model' };
  const { status, setup, user_healthcheck_error: why } = parsed.data;
  const log = setup?.logs?.trim() ?? '';
  switch (status) {
    case 'READY':
    case 'BUSY':
      return { kind: 'ready', detail: status };
    case 'STARTING':
      return { kind: 'not_yet', detail: told('setup runs', lastLine(log)) };
    case 'SETUP_FAILED':
      return { kind: 'gone', detail: told('setup failed', log.slice(-LOG_CHARS)) };
    case 'DEFUNCT':
      return { kind: 'gone', detail: told('the model is defunct', log.slice(-LOG_CHARS)) };
    case 'UNHEALTHY':
      return { kind: 'not_yet', detail: told("the model's own health check fails", (why ?? '').slice(0, LOG_CHARS)) };
    default:
      return { kind: 'not_yet', detail: `/health-check says ${status.slice(0, 40)}` };
  }
}

function lastLine(log: string): string {
  return log.slice(log.lastIndexOf('\n') + 1).slice(-LOG_CHARS);
}

function told(what: string, more: string): string {
  return more === '' ? what : `${what}: ${more}`;
}
