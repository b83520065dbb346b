/**
 * `npm run docs`: writes what the pages take from the code, between `<!-- generated: name -->` and `<!-- end -->`. A test
 * compares the pages with what this would write.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import {
  CLOSE,
  FLAG_TRIM,
  FRAME,
  LIMITS,
  WHY,
  afterClose,
  challengeReplySchema,
  challengeRequestSchema,
  chuteConfigSchema,
  codeRefSchema,
  cordSchema,
  decodeFrames,
  deviceSchema,
  downSchema,
  encodeFrames,
  encodeJson,
  encodeU64,
  frame,
  gpuSchema,
  headSchema,
  heldStreamSchema,
  instanceReportSchema,
  inventorySchema,
  loginSchema,
  openBlobSchema,
  openCallSchema,
  receiptSchema,
  resetSchema,
  upSchema,
  versionSpecSchema,
  type Frame,
} from '#protocol';
import { DEVELOPMENT, MAINNET, mmSteps, type Suite } from '#protocol/challenge/suite.ts';
import { VERDICTS } from '#protocol/challenge/verdict.ts';
import { ERRORS } from '../functions/errors.ts';
import { CALL_WHY } from '../functions/why/call-reasons.ts';
import { CHECKS } from '../miner-agent/doctor/checks.ts';
import { commentsOf } from './comments.ts';
import { fieldTable, schemaOf, type JsonSchema } from './schema-tables.ts';

const ROOT = join(import.meta.dirname, '..');
const PAGES = ['docs/protocol.md', 'docs/api.md', 'docs/why.md', 'docs/doctor.md', 'docs/challenges.md'];

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const comments = new Map(
  ['hello', 'up', 'down', 'payloads', 'chute', 'limits', 'close'].flatMap((name) => [...commentsOf(read(`functions/protocol/${name}.ts`))]),
);
const commentOf = (name: string): string => comments.get(name) ?? '';

const named = z.registry<{ id: string }>();
const SHARED: [string, string, z.ZodMiniType][] = [
  ['Inventory', 'inventorySchema', inventorySchema],
  ['Device', 'deviceSchema', deviceSchema],
  ['InstanceReport', 'instanceReportSchema', instanceReportSchema],
  ['HeldStream', 'heldStreamSchema', heldStreamSchema],
  ['VersionSpec', 'versionSpecSchema', versionSpecSchema],
  ['ChuteConfig', 'chuteConfigSchema', chuteConfigSchema],
  ['CodeRef', 'codeRefSchema', codeRefSchema],
  ['Cord', 'cordSchema', cordSchema],
  ['Gpu', 'gpuSchema', gpuSchema],
];
for (const [id, , schema] of SHARED) named.add(schema, { id });

function table(title: string, source: string, schema: JsonSchema): string {
  const about = commentOf(source);
  const fields = fieldTable(schema, (field) => commentOf(`${source}.${field}`));
  return [`#### ${title}`, ...(about === '' ? [] : [about]), fields].join('\n\n');
}

const tableOf = (title: string, source: string, schema: z.ZodMiniType): string => table(title, source, schemaOf(schema, named));

/** The messages of one direction, each under its `type`. */
function union(direction: z.ZodMiniType): string {
  return alternatives(direction)
    .map((schema) => table(`\`${typeOf(schema)}\``, `${typeOf(schema)}Schema`, schema))
    .join('\n\n');
}

function alternatives(union: z.ZodMiniType): JsonSchema[] {
  const json = schemaOf(union, named);
  return json.oneOf ?? json.anyOf ?? [];
}

function typeOf(message: JsonSchema): string {
  return String(message.properties?.['type']?.const);
}

function codes(source: string, schema: JsonSchema | undefined): string {
  const rows = (schema?.properties?.['code']?.enum ?? []).map(
    (code) => `| \`${String(code)}\` | ${commentOf(`${source}.${String(code)}`)} |`,
  );
  return ['| code | when |', '| --- | --- |', ...rows].join('\n');
}

function closeCodes(): string {
  const acts = { stop: 'stops for good', slow: 'comes back after the longest delay', reconnect: 'comes back at the usual pace' };
  const rows = Object.entries(CLOSE).map(
    ([name, code]) =>
      `| ${code} | ${name} | ${commentOf(`CLOSE.${name}`)} | ${code === CLOSE.done ? 'has left' : acts[afterClose(code)]} |`,
  );
  return ['| code | name | meaning | the agent |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function limits(): string {
  const rows = Object.entries(LIMITS).map(
    ([name, value]) => `| \`${name}\` | ${value.toLocaleString('en')} | ${commentOf(`LIMITS.${name}`)} |`,
  );
  return ['| limit | value | what it bounds |', '| --- | --- | --- |', ...rows].join('\n');
}

const nameOfFrame = (f: Frame): string => Object.entries(FRAME).find(([, type]) => type === f.type)?.[0] ?? '';
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The vectors that `test/unit/protocol/frames.test.ts` pins. */
function vectors(): string {
  const pinned = [...read('test/unit/protocol/frames.test.ts').matchAll(/^ {2}\['([^']+)', frame\(.*'([0-9a-f]+)'\],$/gm)];
  if (pinned.length < Object.keys(FRAME).length) throw new Error('the golden vectors of the wire were not found');
  const rows = pinned.map(([, name, golden = '']) => {
    const [f] = decodeFrames(Buffer.from(golden, 'hex'));
    return f === undefined
      ? ''
      : `| ${name} | ${f.type} | ${f.flags} | ${f.stream} | \`${golden.slice(0, 24)}\` | \`${golden.slice(24)}\` |`;
  });
  return ['| frame | type | flags | stream | header | payload |', '| --- | --- | --- | --- | --- | --- |', ...rows].join('\n');
}

/** One call as it crosses the socket. */
function example(): string {
  const attempt = '01a20361-c063-7808-8c83-621617a5d1eb/0';
  const body = new TextEncoder().encode('{"model":"demo/chat"}');
  const reply = new TextEncoder().encode('data: [DONE]\n\n');
  const open = {
    attempt,
    instance: 'ins_1',
    method: 'POST',
    path: '/v1/chat/completions',
    headers: [['content-type', 'application/json']],
    deadlineMs: 60_000,
  };
  const receipt = {
    attempt,
    bytes: reply.byteLength,
    sha256: '…',
    tokensIn: null,
    tokensOut: null,
    firstByteMs: 3,
    lastByteMs: 3,
    signature: '…',
  };
  const story: [string, Frame, string][] = [
    ['edge', frame(FRAME.OPEN, 2, encodeJson(open)), JSON.stringify(open)],
    ['edge', frame(FRAME.DATA, 2, body), 'the whole request body'],
    ['edge', frame(FRAME.END, 2), 'no more of it'],
    [
      'agent',
      frame(FRAME.HEAD, 2, encodeJson({ status: 200, headers: [['content-type', 'text/event-stream']] })),
      '{"status":200,"headers":[["content-type","text/event-stream"]]}',
    ],
    ['agent', frame(FRAME.DATA, 2, reply), 'data: [DONE]⏎⏎'],
    ['agent', frame(FRAME.END, 2, encodeJson(receipt)), JSON.stringify(receipt)],
    ['edge', frame(FRAME.ACK, 2, encodeU64(reply.byteLength), FLAG_TRIM), 'the client has it: forget the stream'],
  ];
  const rows = story.map(([who, f, what]) => {
    const bytes = hex(encodeFrames([f]));
    return `| ${who} | ${nameOfFrame(f)} | \`${bytes.slice(0, 24)}\` | ${what.startsWith('{') || what.startsWith('data') ? `\`${what}\`` : what} |`;
  });
  return ['| from | frame | header | payload |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function errors(): string {
  const rows = Object.entries(ERRORS).map(([code, [status, text]]) => `| \`${code}\` | ${status} | ${text} |`);
  return ['| code | status | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

/** Codes with what they mean and what to do next. */
function reasons(table: Record<string, { text: string; next: string }>): string {
  const rows = Object.entries(table).map(([code, { text, next }]) => `| \`${code}\` | ${text} | ${next} |`);
  return ['| code | what it means | what to do |', '| --- | --- | --- |', ...rows].join('\n');
}

/** What `ripcord-miner doctor` looks at. */
function checks(): string {
  const rows = CHECKS.map(
    ({ id, looks, codes: answers }) => `| \`${id}\` | ${looks} | ${answers.map((code) => `\`${code}\``).join(', ')} |`,
  );
  return ['| check | passes when | answers for |', '| --- | --- | --- |', ...rows].join('\n');
}

/** What each verdict means, and what comes of it. */
function verdicts(): string {
  const rows = Object.entries(VERDICTS).map(([reason, { outcome, text, next }]) => `| \`${reason}\` | ${outcome} | ${text} | ${next} |`);
  return ['| verdict | outcome | what it means | what to do |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function classes(): string {
  const rows = MAINNET.classes.map((c) => {
    const { rate, window, memoryMb } = c;
    const [least, most] = [window.least, window.most].map((share) => ((MAINNET.expectedMs * share) / 1_000_000).toLocaleString('en'));
    const work = `\`${c.mm}\`, T = ${mmSteps(MAINNET, c).toLocaleString('en')}`;
    return `| \`${c.name}\` | ${work} | ${rate.toLocaleString('en')} | ${memoryMb.toLocaleString('en')} | ${least} to ${most} s |`;
  });
  return ['| class | `pow.mm` | 10⁶ multiply-adds/s | MiB | window |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

/** How often, in words, on each network. */
function suites(): string {
  const every = ({ cadence: { slotSeconds } }: Suite, slots: number): string => `${(slots * slotSeconds).toLocaleString('en')} s`;
  const row = (name: string, cell: (suite: Suite) => string): string => `| ${name} | ${cell(MAINNET)} | ${cell(DEVELOPMENT)} |`;
  return [
    '| on average once in | mainnet | development |',
    '| --- | --- | --- |',
    row('slot', (suite) => every(suite, 1)),
    row('flash of `pow.mm`', (suite) => every(suite, suite.cadence.flash)),
    row('`pow.mem`', (suite) => every(suite, suite.cadence.mem)),
    row('`fs`', (suite) => every(suite, suite.cadence.fs)),
    row('`weights`', (suite) => every(suite, suite.cadence.weights)),
    row('a new device, slots after it came', (suite) => suite.cadence.newcomer.join(', ')),
    row('a whole device of a class needs', (suite) => `${suite.expectedMs.toLocaleString('en')} ms`),
  ].join('\n');
}

const PARTS: Record<string, () => string> = {
  verdicts,
  classes,
  suites,
  checks,
  'call reasons': () => reasons(CALL_WHY),
  'agent reasons': () => reasons(WHY),
  challenge: () =>
    [
      tableOf('Challenge request', 'challengeRequestSchema', challengeRequestSchema),
      tableOf('Challenge reply', 'challengeReplySchema', challengeReplySchema),
      tableOf('Login', 'loginSchema', loginSchema),
    ].join('\n\n'),
  up: () => union(upSchema),
  down: () => union(downSchema),
  shared: () => SHARED.map(([id, source, schema]) => tableOf(id, source, schema)).join('\n\n'),
  payloads: () =>
    [
      tableOf('OPEN of a call', 'openCallSchema', openCallSchema),
      tableOf('OPEN of a blob', 'openBlobSchema', openBlobSchema),
      tableOf('HEAD', 'headSchema', headSchema),
      tableOf('END of a reply: the receipt', 'receiptSchema', receiptSchema),
      tableOf('RESET', 'resetSchema', resetSchema),
    ].join('\n\n'),
  'reset codes': () => codes('resetSchema', schemaOf(resetSchema, named)),
  'refusal codes': () =>
    codes(
      'refusalCodeSchema',
      alternatives(downSchema).find((message) => typeOf(message) === 'refusal'),
    ),
  'close codes': closeCodes,
  limits,
  vectors,
  example,
  errors,
};

/** A page as it should be. */
export function regenerated(page: string): string {
  const text = read(page).replaceAll(
    /(<!-- generated: ([a-z ]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, name: string, end: string) => {
      const part = PARTS[name];
      if (part === undefined) throw new Error(`${page}: nothing generates ${name}`);
      return `${start}\n${part()}\n\n${end}`;
    },
  );
  return execFileSync(join(ROOT, 'node_modules/.bin/oxfmt'), ['--stdin-filepath', page], { cwd: ROOT, input: text, encoding: 'utf8' });
}

export { PAGES };

if (import.meta.main) for (const page of PAGES) writeFileSync(join(ROOT, page), regenerated(page));
