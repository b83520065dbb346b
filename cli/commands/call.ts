import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { LIMITS } from '#protocol';
import { chat } from '../chat.ts';
import { CALL_TIMEOUT_MS, type Ask } from '../client.ts';
import { EXIT, Failure, usage } from '../failure.ts';
import { write, type Io } from '../io.ts';
import { refusalFrom } from '../refusal.ts';
import { readBounded } from '../reply.ts';
import { chuteName, openSession, type Session } from '../session.ts';

interface Options {
  request?: string;
  data?: string;
  header: string[];
  stream?: true;
  output?: string;
  idempotencyKey?: string;
}

const KEY_FORM = /^[\x20-\x7e]{1,255}$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*([\t\x20-\x7e\x80-\xff]*)$/;

export function addCall(program: Command, io: Io): void {
  program
    .command('call')
    .summary('call a chute, or chat with it')
    .description(
      'Calls a chute. The reply goes to stdout as it comes, byte for byte.\nWith a text instead of a path, asks the chute for a chat completion and prints the answer as it is written.',
    )
    .argument('<name>', 'owner/name, or a name of your own')
    .argument('[path]', 'a path that starts with /, or the text of a chat message', '/')
    .option('-X, --request <method>', 'method (else GET, and POST with data)')
    .option('-d, --data <data>', 'body: the data itself, @file, or @- for stdin')
    .option(
      '-H, --header <header>',
      'a header as "Name: value"; may be given more than once',
      (header: string, all: string[]) => [...all, header],
      [],
    )
    .option('--stream', 'ask for server-sent events, and put "stream": true into a JSON body')
    .option('-o, --output <file>', 'write the reply to a file')
    .option('--idempotency-key <key>', 'for a POST: the same key again gets the same answer for a day, and runs nothing again')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord call demo/chat "Why is the sky blue?"\n  $ ripcord call demo/chat /v1/chat/completions --stream -d @request.json\n  $ ripcord call demo/image /generate -d \'{"prompt":"a fox"}\' -o fox.png',
    )
    .action(async (name: string, path: string, options: Options, command: Command) => {
      const session = await openSession(io, command, 'key');
      const full = await chuteName(session, name);
      if (path.startsWith('/')) await call(session, full, path, options);
      else if (options.idempotencyKey !== undefined)
        throw usage('no_path', 'A chat takes no Idempotency-Key.', { hint: 'Call its path: ripcord call NAME /v1/chat/completions -d …' });
      else await chat(session, full.startsWith('cht_') ? (await session.client.chute(full)).name : full, path);
    });
}

async function call(session: Session, name: string, path: string, options: Options): Promise<void> {
  const ask = await toAsk(session.io, options);
  const method = (options.request ?? (ask.body === undefined ? 'GET' : 'POST')).toUpperCase();
  if (!/^[A-Z]{1,16}$/.test(method)) throw usage('invalid_method', `${method} is not a method.`);
  if (ask.body !== undefined && (method === 'GET' || method === 'HEAD'))
    throw usage('invalid_method', `${method} has no body; leave -d out, or use -X POST.`);
  if (options.idempotencyKey !== undefined && !KEY_FORM.test(options.idempotencyKey))
    throw usage('invalid_key', 'An Idempotency-Key has 1 to 255 printable ASCII characters.');
  const reply = await session.client.request(method, targetOf(name, path), ask);
  if (!reply.ok) await refuse(reply);
  if (session.json && options.output === undefined) await printJson(session, reply);
  else await pipe(session, reply, options);
  if (session.json && options.output !== undefined)
    await session.result({ status: reply.status, file: resolve(session.io.cwd, options.output) }, '');
  if (!reply.ok)
    throw new Failure(EXIT.refused, 'chute_error', `The program of ${name} answered ${reply.status}.`, { extra: { status: reply.status } });
}

/** The path as it is sent: blanks and letters beyond ASCII encoded, what is encoded left alone. */
function targetOf(name: string, path: string): string {
  const { pathname, search } = new URL(`http://host/call/${name}${path}`);
  if (!pathname.startsWith(`/call/${name}/`)) throw usage('invalid_path', `${path} leads out of the chute.`);
  return pathname + search;
}

async function toAsk(io: Io, options: Options): Promise<Ask> {
  const headers: Record<string, string> = {};
  for (const header of options.header) {
    const [, name, value] = HEADER.exec(header) ?? [];
    if (name === undefined || value === undefined) throw usage('invalid_header', 'A header is given as "Name: value".');
    if (name.toLowerCase() === 'authorization')
      throw usage('key_in_arguments', 'The key is not given as a header.', { hint: 'Set RIPCORD_API_KEY, or run ripcord register.' });
    headers[name.toLowerCase()] = value;
  }
  if (options.idempotencyKey !== undefined) headers['idempotency-key'] = options.idempotencyKey;
  if (options.stream === true) headers['accept'] ??= 'text/event-stream';
  const data = options.data === undefined ? null : await readData(io, options.data);
  if (data === null) return { headers, timeoutMs: CALL_TIMEOUT_MS };
  const json = toJson(data);
  headers['content-type'] ??=
    json !== undefined
      ? 'application/json'
      : options.data?.startsWith('@') === true
        ? 'application/octet-stream'
        : 'text/plain; charset=utf-8';
  const streams = options.stream === true && typeof json === 'object' && json !== null && !Array.isArray(json);
  return { headers, body: streams ? JSON.stringify({ ...json, stream: true }) : data, timeoutMs: CALL_TIMEOUT_MS };
}

export async function readData(io: Io, data: string): Promise<Uint8Array<ArrayBuffer>> {
  if (!data.startsWith('@')) return new TextEncoder().encode(data);
  if (data === '@-') return bounded(io.in);
  try {
    return bounded([new Uint8Array(await readFile(resolve(io.cwd, data.slice(1))))]);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw usage('no_data', `${data.slice(1)} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`);
  }
}

async function bounded(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > LIMITS.bodyBytes) throw usage('body_too_large', `A body is at most ${LIMITS.bodyBytes} bytes.`);
    parts.push(chunk);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** Ends the command if the service itself refused; what the chute's program answered goes on. */
async function refuse(reply: Response): Promise<void> {
  const type = reply.headers.get('content-type') ?? '';
  if (!type.startsWith('application/problem+json')) return;
  const text = await readBounded(reply, () => new Failure(EXIT.unreachable, 'unreachable', 'The connection broke.'));
  throw refusalFrom(reply, text) ?? new Failure(EXIT.refused, 'refused', `The service answered ${reply.status}.`);
}

async function pipe(session: Session, reply: Response, options: Options): Promise<void> {
  const { io } = session;
  if (options.output !== undefined) return toFile(session, reply, resolve(io.cwd, options.output));
  const type = reply.headers.get('content-type') ?? '';
  if (io.out.isTTY === true && /^(image|audio|video|font)\/|octet-stream|zip|pdf/.test(type)) {
    await reply.body?.cancel();
    throw usage('binary_reply', `The reply is ${type}, which a terminal cannot show.`, {
      hint: 'Add -o FILE, or send it on: ripcord call … > FILE.',
    });
  }
  let last = 0x0a;
  for await (const chunk of session.client.bytes(reply)) {
    last = chunk.at(-1) ?? last;
    await write(io, io.out, chunk);
  }
  // Only for the prompt that follows on a terminal; a pipe gets the bytes alone.
  if (io.out.isTTY === true && last !== 0x0a) await write(io, io.out, '\n');
}

async function toFile(session: Session, reply: Response, file: string): Promise<void> {
  const out = createWriteStream(file);
  const failed = new Promise<never>((_, reject) =>
    out.once('error', (error: NodeJS.ErrnoException) =>
      reject(usage('no_output', `${file} cannot be written (${error.code ?? 'unknown'}).`)),
    ),
  );
  const written = (async () => {
    for await (const chunk of session.client.bytes(reply)) await write(session.io, out as never, chunk);
    await new Promise<void>((done) => out.end(done));
  })();
  await Promise.race([written, failed]).finally(() => out.destroy());
}

async function printJson(session: Session, reply: Response): Promise<void> {
  const chunks = await bounded(session.client.bytes(reply));
  const type = reply.headers.get('content-type') ?? '';
  const isText = /^text\/|json|xml|event-stream/.test(type);
  const body = isText ? (toJson(chunks) ?? new TextDecoder().decode(chunks)) : null;
  const document = {
    status: reply.status,
    headers: Object.fromEntries(reply.headers),
    body,
    ...(isText ? {} : { body_base64: Buffer.from(chunks).toString('base64') }),
  };
  await session.result(document, '');
}

function toJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch {
    return undefined;
  }
}
