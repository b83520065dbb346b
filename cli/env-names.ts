/** Variables of a config that look as if they held a secret. */
const SECRET = /(TOKEN|SECRET|PASSWORD|PASSWD|KEY|CREDENTIALS?)S?(_|$)/i;

/** By name, where the value is more than a number or a switch. Pure. */
export function secretLike(env: Record<string, string>): string[] {
  return Object.entries(env)
    .filter(([name, value]) => SECRET.test(name) && value !== '' && !/^(\d+(\.\d+)?|true|false|yes|no)$/i.test(value))
    .map(([name]) => name);
}
