import type { Command } from 'commander';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { openSession } from '../session.ts';
import type { Key } from '../answers.ts';
import { showUsd } from '#protocol/usd.ts';
import { showTime, table } from '../show.ts';

const SCOPES = ['invoke', 'read', 'write', 'keys'];
const PERIODS = ['total', 'day', 'week', 'month'];

export function addKeys(program: Command, io: Io): void {
  const keys = program
    .command('keys')
    .summary('make, list, cap and revoke API keys')
    .description('Makes, lists, caps and revokes API keys.')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord keys create ci --scopes invoke --expires 30d\n  $ ripcord keys list\n  $ ripcord keys revoke key_…',
    );
  keys
    .command('create')
    .description('Makes a key and shows its secret, once.')
    .argument('<name>', 'what it is for')
    .option('--scopes <list>', `what it may do: ${SCOPES.join(', ')} (else what the service gives)`)
    .option('--expires <when>', 'after a time (30d, 12h, 15m) or at a date (2027-01-31)')
    .option('--cap <usd>', 'the most its calls may come to')
    .option('--per <period>', `what the cap is for: ${PERIODS.join(', ')} of UTC`, 'total')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord keys create ci --scopes invoke --cap 5 --per month\n  $ ripcord keys create ci --scopes invoke,read --expires 30d\n  $ export RIPCORD_API_KEY="$(ripcord keys create ci --json | jq -r .secret_key)"',
    )
    .action((name: string, options: CreateOptions, command: Command) => create(name, options, command, io));
  keys
    .command('list')
    .description('Lists the keys of the account, without their secrets.')
    .addHelpText('after', '\nExample:\n  $ ripcord keys list --json')
    .action(async (_options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const items = await session.client.keys();
      const rows = items.map((key) => [
        key.key_id,
        key.name ?? '-',
        key.scopes.join(','),
        showTime(key.created_at),
        showTime(key.expires_at),
        ...showCap(key),
      ]);
      await session.result({ items }, table(['KEY', 'NAME', 'SCOPES', 'MADE', 'EXPIRES', 'CAP', 'LEFT', 'RESETS'], rows));
    });
  keys
    .command('cap')
    .description('Changes what the calls of a key may come to. Calls that run keep what they hold.')
    .argument('<id>', 'the key’s id, as keys list shows it')
    .argument('<usd>', 'the most its calls may come to, or none')
    .option('--per <period>', `what the cap is for: ${PERIODS.join(', ')} of UTC`, 'total')
    .addHelpText('after', '\nExample:\n  $ ripcord keys cap key_0a1b2c 20 --per month\n  $ ripcord keys cap key_0a1b2c none')
    .action(async (id: string, usd: string, { per }: { per: string }, command: Command) => {
      const cap = usd === 'none' ? null : capOf(usd, per);
      const session = await openSession(io, command, 'any');
      const key = await session.client.changeKey(id, { cap });
      const [limit, left] = showCap(key);
      await session.result(key, cap === null ? `${id} has no cap.` : `${id} may spend ${limit}; ${left} is left.`);
    });
  keys
    .command('revoke')
    .description('Ends a key at once.')
    .argument('<id>', 'the key’s id, as keys list shows it')
    .addHelpText('after', '\nExample:\n  $ ripcord keys revoke key_0a1b2c')
    .action(async (id: string, _options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      await session.client.revokeKey(id);
      await session.result({ key_id: id, revoked: true }, `${id} is revoked.`);
    });
  keys
    .command('show')
    .description('Prints the secret key in use, for other programs.')
    .addHelpText('after', '\nExample:\n  $ export RIPCORD_API_KEY="$(ripcord keys show)"')
    .action(async (_options: object, command: Command) => {
      const session = await openSession(io, command, 'key');
      await session.result({ secret_key: session.key }, session.key ?? '');
    });
}

interface CreateOptions {
  scopes?: string;
  expires?: string;
  cap?: string;
  per: string;
}

async function create(name: string, options: CreateOptions, command: Command, io: Io): Promise<void> {
  const scopes = options.scopes?.split(',').map((scope) => scope.trim());
  const wrong = scopes?.find((scope) => !SCOPES.includes(scope));
  if (wrong !== undefined) throw usage('invalid_scope', `"${wrong}" is not a scope.`, { hint: `There are ${SCOPES.join(', ')}.` });
  const expires = options.expires === undefined ? null : expiry(options.expires, Date.now());
  const cap = options.cap === undefined ? null : capOf(options.cap, options.per);
  const session = await openSession(io, command, 'any');
  const key = await session.client.createKey({
    name,
    ...(scopes === undefined ? {} : { scopes }),
    ...(expires === null ? {} : { expires_at: expires }),
    ...(cap === null ? {} : { cap }),
  });
  await session.note('The secret is shown this once:');
  await session.result(key, key.secret_key);
}

function capOf(usd: string, period: string): { limit_nanousd: string; period: string } {
  const [, dollars, part = ''] = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(usd) ?? [];
  if (dollars === undefined)
    throw usage('invalid_cap', `${usd} is not an amount in USD.`, { hint: 'Give it as 20 or 0.15; nine decimals at most.' });
  if (!PERIODS.includes(period))
    throw usage('invalid_period', `"${period}" is not a period.`, { hint: `There are ${PERIODS.join(', ')}.` });
  return { limit_nanousd: BigInt(dollars + part.padEnd(9, '0')).toString(), period };
}

/** The cap, what is left of it, and when it starts anew. */
function showCap({ cap }: Key): [string, string, string] {
  if (!cap) return ['-', '-', '-'];
  const per = cap.period === 'total' ? '' : ` a ${cap.period}`;
  return [`${showUsd(cap.limit_nanousd)} USD${per}`, `${showUsd(cap.remaining_nanousd)} USD`, showTime(cap.resets_at)];
}

/** `30d`, `12h`, `15m` from now, or a date; as ISO text. */
export function expiry(when: string, now: number): string {
  const span = /^(\d{1,6})([mhd])$/.exec(when);
  const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 }[span?.[2] ?? ''];
  const at = unitMs === undefined ? Date.parse(when) : now + Number(span?.[1]) * unitMs;
  if (Number.isNaN(at) || at <= now)
    throw usage('invalid_expiry', `${when} is not a time to come.`, { hint: 'Give a span as 30d, 12h or 15m, or a date as 2027-01-31.' });
  return new Date(at).toISOString();
}
