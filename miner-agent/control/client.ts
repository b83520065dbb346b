/** Asks the agent that runs with this data folder. */
import { request, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import * as z from 'zod/mini';
import { findSocketPath } from './place.ts';

/** No agent runs with this data folder. */
export class NotRunning extends Error {
  override readonly name = 'NotRunning';
}

/** The agent said no. */
export class ControlRefused extends Error {
  override readonly name = 'ControlRefused';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const problemSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** Milliseconds: it is the same machine. */
const ANSWER_MS = 10_000;
const ANSWER_BYTES = 16 * 1024 * 1024;

/** Throws `NotRunning` or `ControlRefused`. */
export async function askAgent<T extends z.ZodMiniType>(
  dataFolder: string,
  [method, path]: ['GET' | 'POST', string],
  schema: T,
  body?: object,
): Promise<z.output<T>> {
  const response = await open(dataFolder, method, path, body, AbortSignal.timeout(ANSWER_MS));
  const value = jsonOf(await textOf(response));
  if (response.statusCode !== 200) throw refusal(value);
  const parsed = z.safeParse(schema, value);
  if (!parsed.success) throw new ControlRefused('other_version', 'the agent answered something else; it is of another version: restart it');
  return parsed.data;
}

/** Lines of the agent's logs, as they come; ends with the agent, or with the signal. Throws `NotRunning` or `ControlRefused`. */
export async function* followAgent<T extends z.ZodMiniType>(
  dataFolder: string,
  path: string,
  schema: T,
  signal: AbortSignal,
): AsyncGenerator<z.output<T>> {
  const response = await open(dataFolder, 'GET', path, undefined, signal);
  if (response.statusCode !== 200) throw refusal(jsonOf(await textOf(response)));
  try {
    for await (const line of createInterface({ input: response })) {
      const parsed = z.safeParse(schema, jsonOf(line));
      if (parsed.success) yield parsed.data;
    }
  } catch {
    // The agent ended, or the signal came.
  } finally {
    response.destroy();
  }
}

function open(dataFolder: string, method: string, path: string, body: object | undefined, signal: AbortSignal): Promise<IncomingMessage> {
  const socketPath = findSocketPath(dataFolder);
  const away = () => new NotRunning(`no agent runs with the data folder ${dataFolder}`);
  if (socketPath === null) return Promise.reject(away());
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, signal, headers: { 'content-type': 'application/json' } });
    asked.on('response', resolve);
    asked.on('error', () => reject(away()));
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) {
    text += part;
    if (text.length > ANSWER_BYTES) break;
  }
  return text;
}

function refusal(value: unknown): ControlRefused {
  const parsed = z.safeParse(problemSchema, value);
  return parsed.success
    ? new ControlRefused(parsed.data.error.code, parsed.data.error.message)
    : new ControlRefused('refused', 'the agent refused without a reason');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
