import type { Command } from 'commander';
import type { Price } from '#protocol';
import type { PriceVersion } from '../answers.ts';
import { usage } from '../failure.ts';
import type { Io } from '../io.ts';
import { chuteName, openSession } from '../session.ts';
import { showUsd } from '#protocol/usd.ts';
import { showTime, table } from '../show.ts';
import { expiry } from './keys.ts';

/** Option, field of the price, and of what. */
const UNITS = [
  ['input', 'input_per_million', 'million tokens of the prompt'],
  ['cached', 'cached_per_million', 'million tokens of it that were cached'],
  ['output', 'output_per_million', 'million tokens of the answer'],
  ['perSecond', 'per_second', 'second of a call'],
  ['perRequest', 'per_request', 'call'],
  ['perImage', 'per_image', 'image'],
  ['perStep', 'per_step', 'step of an image'],
  ['perInstanceSecond', 'per_instance_second', 'second of an instance, private chutes only'],
] as const;
type Unit = (typeof UNITS)[number][0];

interface SetOptions extends Partial<Record<Unit, string>> {
  discount?: string;
  starts?: string;
  ends?: string;
  note?: string;
}

export function addPrice(program: Command, io: Io): void {
  const price = program
    .command('price')
    .summary('show and set what a chute costs')
    .description('Shows and sets what a chute costs.')
    .addHelpText('after', '\nExample:\n  $ ripcord price demo/chat\n  $ ripcord price set hello --per-request 0.001 --note "first price"');
  price
    .command('show', { isDefault: true })
    .description('Shows the prices of a chute: what is in force, what is to come, what was.')
    .argument('<name>', 'owner/name, a name of your own, or an id (cht_…)')
    .addHelpText('after', '\nExample:\n  $ ripcord price show demo/chat')
    .action(async (name: string, _options: object, command: Command) => {
      const session = await openSession(io, command, 'any');
      const items = await session.client.prices(await chuteName(session, name));
      await session.result({ items }, items.length === 0 ? 'It is free.' : showPrices(items));
    });
  const set = price
    .command('set')
    .description(
      'Sets what a chute of yours costs, in USD. Prices that are not named stay as they are, a discount does not; a minute goes by before it counts.',
    )
    .argument('<name>', 'a name of your own, or an id (cht_…)');
  for (const [name, , unit] of UNITS) set.option(`--${kebab(name)} <usd>`, `USD per ${unit}`);
  set
    .option('--discount <percent>', 'off the whole cost, as 25% or 12.5%')
    .option('--starts <when>', 'after a time (2h, 7d) or at a date (else as soon as may be)')
    .option('--ends <when>', 'a promotion: when the price before it counts again')
    .option('--note <text>', 'why, for the history')
    .addHelpText(
      'after',
      '\nExample:\n  $ ripcord price set chat --input 0.15 --cached 0.075 --output 0.60\n  $ ripcord price set chat --discount 50% --starts 2h --ends 7d --note launch',
    )
    .action(async (name: string, options: SetOptions, command: Command) => {
      const asked = { ...named(options), ...times(options, Date.now()) };
      const session = await openSession(io, command, 'any');
      const full = await chuteName(session, name);
      const now = (await session.client.chute(full)).price ?? {};
      const made = await session.client.setPrice(full, { ...asked, price: { ...now, ...asked.price } });
      await session.result(made, showPrices([made]));
    });
}

function named(options: SetOptions): { price: Partial<Price>; discount_bps: number; note: string } {
  const given = UNITS.flatMap(([name, field]) => {
    const text = options[name];
    return text === undefined ? [] : [[field, nanousd(text, kebab(name))] as const];
  });
  return { price: Object.fromEntries(given), discount_bps: discount(options.discount ?? '0%'), note: options.note ?? '' };
}

function times({ starts, ends }: SetOptions, now: number): { starts_at?: string; ends_at?: string } {
  return {
    ...(starts === undefined ? {} : { starts_at: expiry(starts, now) }),
    ...(ends === undefined ? {} : { ends_at: expiry(ends, now) }),
  };
}

/** USD as people write it, to whole nano-USD. */
function nanousd(text: string, option: string): number {
  const [, dollars, part = ''] = /^(\d{1,5})(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (dollars === undefined)
    throw usage('invalid_price', `--${option}: ${text} is not an amount in USD.`, { hint: 'Give it as 0.15; nine decimals at most.' });
  return Number(dollars + part.padEnd(9, '0'));
}

function discount(text: string): number {
  const percent = /^(\d{1,3}(?:\.\d{1,2})?)%$/.exec(text)?.[1];
  const bps = percent === undefined ? Number.NaN : Math.round(Number(percent) * 100);
  if (!(bps <= 10_000))
    throw usage('invalid_discount', `${text} is not a discount.`, { hint: 'Give it as 25% or 12.5%, two decimals at most.' });
  return bps;
}

function showPrices(items: readonly PriceVersion[]): string {
  const rows = items.map((item) => [
    item.in_force ? 'now' : '',
    showTime(item.starts_at),
    showTime(item.ends_at),
    UNITS.flatMap(([name, field]) => {
      const nano = item.price[field] ?? 0;
      return nano === 0 ? [] : [`${kebab(name)} ${showUsd(BigInt(nano))}`];
    }).join(', ') || 'free',
    item.discount_bps === 0 ? '-' : `${item.discount_bps / 100}%`,
    item.note ?? '',
  ]);
  return table(['', 'STARTS', 'ENDS', 'USD', 'DISCOUNT', 'NOTE'], rows);
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
