/** What a grant carries for the granted agent only. Sealed by the edge for the session's X25519 key, opened in the agent's memory. */
import * as z from 'zod/mini';

/** Credentials for one registry; used for the pull of this instance's image and for nothing else. */
export const registryCredentialSchema = z.strictObject({
  /** `registry.example.com`, with a port where it has one. */
  server: z.string().check(z.regex(/^[a-z0-9.-]{1,253}(:[0-9]{1,5})?$/)),
  username: z.string().check(z.minLength(1), z.maxLength(256)),
  password: z.string().check(z.minLength(1), z.maxLength(16_384)),
});
export type RegistryCredential = z.infer<typeof registryCredentialSchema>;

export const secretsSchema = z.strictObject({
  /** Variables of the program; they win over those of the config. */
  env: z.record(z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/)), z.string().check(z.maxLength(32_768))),
  registries: z.array(registryCredentialSchema).check(z.maxLength(8)),
});
export type Secrets = z.infer<typeof secretsSchema>;

export const NO_SECRETS: Secrets = { env: {}, registries: [] };

/** The `info` of the sealing (HPKE, RFC 9180: DHKEM X25519 HKDF-SHA256, AES-256-GCM): binds it to one grant of one agent. */
export function sealInfo(agent: string, instance: string): string {
  return `ripcord-secrets/1\n${agent}\n${instance}`;
}
