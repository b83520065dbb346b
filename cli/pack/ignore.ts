/**
 * Which files of a folder are left out, by the rules of .gitignore: `#` comments, `!` takes back, a slash anchors, a slash at
 * the end means folders, `*` `?` `[…]` `**`. Only the file at the top of the folder is read.
 */

interface Rule {
  keep: boolean;
  foldersOnly: boolean;
  matches: RegExp;
}

/** Left out unless a rule takes them back (`!node_modules/`): what is rebuilt, and where secrets usually lie. */
export const DEFAULT_IGNORES = ['node_modules/', '__pycache__/', '*.pyc', '.venv/', '.env', '.env.*', '.DS_Store', '/chute.toml', '/.ripcordignore', '/.gitignore'];

/** Never packed, whatever a rule says. */
const NEVER = new Set(['.git', '.ripcord']);

export type Ignored = (path: string, isFolder: boolean) => boolean;

/** A test of one path (relative, `/` between names). What lies in an ignored folder is ignored with it; the walk sees to that. */
export function ignoreRules(text: string): Ignored {
  const rules = [...DEFAULT_IGNORES, ...text.split(/\r?\n/)].map(toRule).filter((rule) => rule !== null);
  return (path, isFolder) => {
    if (NEVER.has(path.split('/').at(-1) ?? '')) return true;
    const last = rules.findLast((rule) => (isFolder || !rule.foldersOnly) && rule.matches.test(path));
    return last !== undefined && !last.keep;
  };
}

function toRule(line: string): Rule | null {
  let glob = line.replace(/(?<!\\)\s+$/, '');
  if (glob === '' || glob.startsWith('#')) return null;
  const keep = glob.startsWith('!');
  if (keep) glob = glob.slice(1);
  const foldersOnly = glob.endsWith('/');
  if (foldersOnly) glob = glob.slice(0, -1);
  const anchored = glob.includes('/');
  if (glob.startsWith('/')) glob = glob.slice(1);
  if (glob === '') return null;
  return { keep, foldersOnly, matches: new RegExp(`^${anchored ? '' : '(?:.*/)?'}${toPattern(glob)}$`, 's') };
}

/** A glob as a regular expression; every repetition is over one class, so no pattern takes exponential time. */
function toPattern(glob: string): string {
  let pattern = '';
  for (let i = 0; i < glob.length; i += 1) {
    const rest = glob.slice(i);
    const set = /^\[(?:[!^]?\]?(?:\\.|[^\]\\/])*)\]/.exec(rest)?.[0];
    if (rest.startsWith('**/') && (i === 0 || glob[i - 1] === '/')) {
      pattern += '(?:.*/)?';
      i += 2;
    } else if (rest === '**' && glob[i - 1] === '/') {
      pattern += '.+';
      i += 1;
    } else if (rest[0] === '*') {
      if (!pattern.endsWith('[^/]*')) pattern += '[^/]*';
    } else if (rest[0] === '?') pattern += '[^/]';
    else if (set !== undefined) {
      pattern += toSet(set);
      i += set.length - 1;
    } else if (rest[0] === '\\' && rest.length > 1) {
      pattern += literal(rest[1] ?? '');
      i += 1;
    } else pattern += literal(rest[0] ?? '');
  }
  return pattern;
}

function toSet(set: string): string {
  const body = set.slice(1, -1);
  const negated = body.startsWith('!') || body.startsWith('^');
  const inner = (negated ? body.slice(1) : body).replace(/\\(.)/g, '$1').replace(/[\\\]^[]/g, '\\$&');
  return `(?!/)[${negated ? '^' : ''}${inner}]`;
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
