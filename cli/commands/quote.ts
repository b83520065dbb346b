import { InvalidArgumentError, type Command } from 'commander';
import type { Chute, Quote } from '../answers.ts';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { chuteName, openSession } from '../session.ts';
import { showUsd } from '#protocol/usd.ts';
import { table } from '../show.ts';
import { readData } from './call.ts';

interface Options {
  maxTokens?: number;
  data?: string;
  path?: string;
}

export function addQuote(program: Command, io: Io): void {
  program
    .command('quote')
    .summary('say what a call would cost at most')
    .description('Says what a call would cost at most, and whether the account can pay it. Nothing is called.')
    .argument('<name>', 'owner/name, a name of your own, or an id (cht_…)')
    .argument('[text]', 'the text of a chat message')
    .option('--max-tokens <n>', 'tokens of the answer at most', count)
    .option('-d, --data <data>', 'the body of the call: the data itself, @file, or @- for stdin')
    .option('--path <path>', 'the path of the call, as /generate (else the chat route, or /)')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord quote demo/chat "Why is the sky blue?" --max-tokens 200\n  $ ripcord quote demo/image --path /generate -d \'{"prompt":"a fox","steps":20}\'',
    )
    .action(async (name: string, text: string | undefined, options: Options, command: Command) => {
      const session = await openSession(io, command, 'any');
      const chute = await session.client.chute(await chuteName(session, name));
      const data = options.data === undefined ? null : await readData(io, options.data);
      const quote = await session.client.quote(pathOf(chute, options), bodyOf(chute, data, text, options));
      await session.result(quote, showQuote(quote));
    });
}

function speaksTokens(chute: Chute, { path }: Options): boolean {
  return chute.template === 'openai' && path === undefined;
}

function pathOf(chute: Chute, options: Options): string {
  if (options.path !== undefined && !options.path.startsWith('/')) throw usage('invalid_path', `${options.path} does not start with /.`);
  return speaksTokens(chute, options) ? '/v1/chat/completions' : `/call/${chute.name}${options.path ?? '/'}`;
}

/** A chat names its model and its tokens in the body; any other body is measured as it is. */
function bodyOf(
  chute: Chute,
  data: Uint8Array<ArrayBuffer> | null,
  text: string | undefined,
  options: Options,
): Uint8Array<ArrayBuffer> | string {
  if (!speaksTokens(chute, options)) return data ?? '';
  const given = data === null ? { messages: [{ role: 'user', content: text ?? '' }] } : parsed(data);
  const tokens = options.maxTokens === undefined ? {} : { max_tokens: options.maxTokens };
  return JSON.stringify({ ...given, model: chute.name, ...tokens });
}

function parsed(data: Uint8Array): object {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(data));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Falls through.
  }
  throw usage('invalid_data', 'The body of a chat is a JSON object.');
}

function showQuote(quote: Quote): string {
  const lines = quote.lines.map((line) => [line.what, String(line.units), showUsd(line.nanousd)]);
  const head = table(['FOR', 'UNITS', 'USD'], [...lines, ['at most', '', showUsd(quote.most_nanousd)]], ['UNITS', 'USD']);
  if (quote.available_nanousd === null || quote.available_nanousd === undefined) return head;
  const fits = quote.fits === true ? 'which pays for it' : 'which is not enough';
  return `${head}\n\nThe account has ${showUsd(quote.available_nanousd)} USD, ${fits}.`;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It is a whole number above 0.');
  return value;
}
