import type { ChuteConfig, CodeRef } from '#protocol';
import { versionText } from './versions.ts';

/** The name of a version: SHA-256, hex, of its canonical config and code hash. */
export async function versionOf(config: ChuteConfig, code: CodeRef | null): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(versionText(config, code)));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
