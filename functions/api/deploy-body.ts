/** The body of a deploy, checked field by field. */
import * as z from 'zod/mini';
import { chuteConfigSchema, codeRefSchema, configConflict, isPinned } from '#protocol';
import type { ChuteConfig, CodeRef } from '#protocol';
import { RipcordError } from '../errors.ts';

/** Bytes of a deploy: a grant carries the config and the sealed secrets to an agent in one control message. */
export const DEPLOY_BYTES = 152 * 1024;

const deploySchema = z.strictObject({ config: chuteConfigSchema, code: z._default(z.nullable(codeRefSchema), null) });

export interface Deploy {
  config: ChuteConfig;
  code: CodeRef | null;
}

/** Throws `unsupported_media_type`, `invalid_request` for what is not JSON, and `invalid_config` with the field at fault. */
export function readDeploy(headers: Headers, text: string): Deploy {
  const type = headers.get('content-type') ?? 'application/json';
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new RipcordError('unsupported_media_type', { message: 'A deploy is JSON.' });
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new RipcordError('invalid_request', { message: 'The body is not JSON.' });
  }
  const parsed = deploySchema.safeParse(body);
  if (!parsed.success) throw invalid(parsed.error);
  const conflict = configConflict(parsed.data.config);
  if (conflict !== null) throw new RipcordError('invalid_config', { message: conflict, param: conflict.split(':', 1)[0] ?? 'config' });
  const { image } = parsed.data.config;
  // A version never changes, and a tag may name another image tomorrow.
  if (image !== undefined && !isPinned(image))
    throw new RipcordError('invalid_config', {
      message: 'image: pin it by its digest.',
      hint: 'ripcord deploy does that. By hand: host/repository@sha256:…, with the digest the registry gives for the tag.',
      param: 'image',
    });
  return parsed.data;
}

function invalid(error: z.core.$ZodError): RipcordError {
  const issue = error.issues[0];
  const extra = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const path = [...(issue?.path ?? []), ...(extra === undefined ? [] : [extra])].map(String);
  // Fields are named as chute.toml names them.
  const param = (path[0] === 'config' && path.length > 1 ? path.slice(1) : path).join('.') || 'config';
  const message = extra === undefined ? (issue?.message ?? 'invalid') : 'there is no such field';
  return new RipcordError('invalid_config', {
    message: `${param}: ${message}`,
    hint: 'GET /schema/chute.json describes every field.',
    param,
  });
}
