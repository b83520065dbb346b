/**
 * Which files of a folder are left out, by the rules of .gitignore: `#` comments, `!` takes back, a slash anchors, a slash at
 * the end means folders, `*` `?` `[…]` `**`. Only the file at the top of the folder is read.
 */

import { segmentMatcher, STAR, wild } from './glob.ts';

interface Rule {
  keep: boolean;
  foldersOnly: boolean;
  matches: (path: string) => boolean;
}

/** Left out unless a rule takes them back (`!node_modules/`): what is rebuilt, and where secrets usually lie. */
export const DEFAULT_IGNORES = [
  'node_modules/',
  '__pycache__/',
  '*.pyc',
  '.venv/',
  '.env',
  '.env.*',
  '.DS_Store',
  '/chute.toml',
  '/.ripcordignore',
  '/.gitignore',
];

/** Never packed, whatever a rule says. */
const NEVER = new Set(['.git', '.ripcord']);

export type Ignored = (path: string, isFolder: boolean) => boolean;

/** A test of one path (relative, `/` between names). What lies in an ignored folder is ignored with it; the walk sees to that. */
export function ignoreRules(text: string): Ignored {
  const rules = [...DEFAULT_IGNORES, ...text.split(/\r?\n/)].map(toRule).filter((rule) => rule !== null);
  return (path, isFolder) => {
    if (NEVER.has(path.split('/').at(-1) ?? '')) return true;
    const last = rules.findLast((rule) => (isFolder || !rule.foldersOnly) && rule.matches(path));
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
  return { keep, foldersOnly, matches: pathMatcher(anchored ? glob : `**/${glob}`) };
}

/** `**` between slashes stands for any folders, at the end for anything inside. */
function pathMatcher(glob: string): (path: string) => boolean {
  const names = glob.split('/');
  const pattern = names.map((name) => (name === '**' ? STAR : segmentMatcher(name)));
  if (names.length > 1 && names.at(-1) === '**') pattern.push(() => true);
  return (path) => wild(pattern, path.split('/'));
}
