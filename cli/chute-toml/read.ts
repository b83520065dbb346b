/** chute.toml → the config the API takes, and the code folder beside it. */
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { chuteConfigSchema, configConflict, type ChuteConfig } from '#protocol';
import { Failure, EXIT, usage } from '../failure.ts';
import { explain, problem, showProblem, type Problem } from './explain.ts';

/** Bytes of a chute.toml; the largest a config can be is far below. */
const MAX_BYTES = 4 * 1024 * 1024;

export interface ChuteToml {
  file: string;
  config: ChuteConfig;
  /** The folder to pack, absolute; null with an image. */
  code: string | null;
}

/** Reads and checks a chute.toml. Throws a `Failure` (wrong use) that lists every problem with its line. */
export async function readChuteToml(file: string): Promise<ChuteToml> {
  const path = resolve(file);
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw unreadable(file, error);
  }
  if (bytes.length > MAX_BYTES) throw usage('invalid_config', `${file} is ${bytes.length} bytes; at most ${MAX_BYTES} are read.`);
  return { file: path, ...parseChuteToml(bytes.toString('utf8'), shown(path), dirname(path)) };
}

/** The same for text; `file` is the name in messages, `folder` what `code` is relative to. */
export function parseChuteToml(source: string, file: string, folder: string): Omit<ChuteToml, 'file'> {
  const { code, ...raw } = parseToml(source, file);
  const parsed = chuteConfigSchema.safeParse(raw);
  const problems = parsed.success ? [] : explain(parsed.error.issues, raw, source, file);
  if (code !== undefined && (typeof code !== 'string' || code === ''))
    problems.push(problem(['code'], 'expected text in quotes, the folder to pack, as "."', source, file));
  else if (code !== undefined && isAbsolute(code))
    problems.push(problem(['code'], 'expected a folder relative to this file, as "."', source, file));
  if (code !== undefined && raw['image'] !== undefined)
    problems.push(problem(['code'], 'an image brings its own code; remove this field', source, file));
  if (!parsed.success || problems.length > 0) throw invalid(problems);
  const conflict = configConflict(parsed.data);
  if (conflict !== null) throw invalid([conflictProblem(conflict, source, file)]);
  return { config: parsed.data, code: parsed.data.image === undefined ? resolve(folder, typeof code === 'string' ? code : '.') : null };
}

function parseToml(source: string, file: string): Record<string, unknown> {
  try {
    return parse(source, { unsafeKeyBehaviour: 'throw' });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const message = (error.message.split('\n', 1)[0] ?? '').replace('Invalid TOML document: ', '');
    throw invalid([{ file, line: error.line, field: '', message: `not TOML, column ${error.column}: ${message}` }]);
  }
}

function conflictProblem(conflict: string, source: string, file: string): Problem {
  const [field = '', ...rest] = conflict.split(': ');
  return problem([field], rest.join(': '), source, file);
}

function invalid(problems: readonly Problem[]): Failure {
  const hint = 'Every field: docs/chute-toml.md. A file to start from: ripcord init.';
  return new Failure(EXIT.usage, 'invalid_config', problems.map(showProblem).join('\n'), { hint, extra: { problems } });
}

function unreadable(file: string, error: unknown): Failure {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return usage('no_chute_toml', `There is no ${file}.`, { hint: 'ripcord init writes one.' });
  return usage('no_chute_toml', `${file} cannot be read (${code ?? 'unknown'}).`);
}

function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
