/**
 * What an agent of the version before the newest hears instead of a message: words it knows, fields it can read. Its config
 * schema is strict, so what came later has to stay out of its grants, and nothing of it was needed to run a command.
 */
import type { ChuteConfig, Down, RefusalCode } from '#protocol';

/** Fields of a chute's config that came with version 2. They are about containers and scaling; version 1 runs neither. */
const LATER = [
  'entrypoint',
  'args',
  'adapter',
  'egress',
  'memory_mb',
  'shm_mb',
  'disk_gb',
  'scale_up_after',
  'idle_after',
  'bounty',
  'weights',
] as const satisfies readonly (keyof ChuteConfig)[];

const REFUSALS: Partial<Record<RefusalCode, RefusalCode>> = { others_first: 'taken', not_yet: 'taken', unpaid: 'no_need' };

/** The message as an agent of this version of the protocol can take it. */
export function inVersion(version: number, message: Down): Down {
  if (version >= 2) return message;
  if (message.type === 'refusal') return { ...message, code: REFUSALS[message.code] ?? message.code };
  if (message.type !== 'grant') return message;
  const { sealed: _, bounty: __, spec, ...grant } = message;
  const config = { ...spec.config };
  for (const field of LATER) delete config[field];
  const code = spec.code === null ? null : { sha256: spec.code.sha256, bytes: spec.code.bytes };
  return { ...grant, spec: { ...spec, config, code } };
}
