/**
 * Whose programs may run with this machine's own rights. Pure. The operator names accounts (trusted with any command) or
 * code folders by hash (trusted only for a command that runs a file of that folder, since the hash does not cover the command).
 */
import type { ChuteConfig } from '#protocol';

export interface Allow {
  /** Account ids or handles. */
  accounts: readonly string[];
  /** SHA-256 of packed code folders. */
  code: readonly string[];
  all: boolean;
}

export interface Program {
  account: string;
  /** `owner/name`. */
  name: string;
  code: string | null;
  /** Unknown as long as there is only an offer. */
  config: Pick<ChuteConfig, 'command' | 'env'> | null;
}

/** Why this program may not run here, in words for the operator; null if it may. */
export function refusalOf(allow: Allow, program: Program): string | null {
  const owner = program.name.split('/', 1)[0] ?? '';
  if (allow.all || allow.accounts.includes(program.account) || allow.accounts.includes(owner)) return null;
  if (program.code === null || !allow.code.includes(program.code)) {
    const byCode = program.code === null ? '' : ` or --allow-code ${program.code}`;
    return `its command would run with your rights and nobody allowed it; allow it with --allow-account ${owner}${byCode}`;
  }
  if (program.config === null || staysInCode(program.config)) return null;
  return `its code is allowed, its command does more than run a file of it; allow it with --allow-account ${owner}`;
}

const INTERPRETERS = new Set(['node', 'python', 'python3', 'bun', 'sh', 'bash']);
/** Variables that make an interpreter or loader run something else. */
const LOADERS = /^(LD_|DYLD_|NODE_|PYTHON|BUN_|BASH|ENV$|PATH$|SHELLOPTS$|PS4$|IFS$|HOME$|GCONV_PATH$)/;
const FILE = /^(\.\/)?[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/;

/** Whether the command runs a file of the code folder and nothing else: `./file …` or `interpreter file …`. */
export function staysInCode(config: Pick<ChuteConfig, 'command' | 'env'>): boolean {
  const [program = '', file = ''] = config.command ?? [];
  if (Object.keys(config.env).some((name) => LOADERS.test(name))) return false;
  if (program.startsWith('./')) return FILE.test(program);
  return INTERPRETERS.has(program) && FILE.test(file);
}
