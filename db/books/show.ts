/** The books as text for people. Colours only on a terminal that wants them. */
import { stripVTControlCharacters, styleText } from 'node:util';
import type { PayoutsView } from './payouts.ts';
import type { AccountView, BooksView, LeaseView, MinerView, PurseView, TransferView } from './read.ts';
import { showUsd } from '#protocol/usd.ts';

export function showBooks(books: BooksView): string {
  const balance = books.trial_balance.map((b) => [
    b.kind,
    String(b.purses),
    showUsd(b.posted_nanousd),
    showUsd(b.unfolded_nanousd),
    showUsd(b.held_nanousd),
  ]);
  const { leases, unfolded } = books;
  return sections(
    ['Trial balance, USD', table(['purses', '#number', '#posted', '#unfolded', '#held'], balance), `Sum: ${showUsd(books.sum_nanousd)}`],
    [
      'Invariants',
      table(
        ['', '', '#broken', ''],
        books.invariants.map((i) => [i.invariant, verdict(i.broken === 0), String(i.broken), i.detail]),
      ),
    ],
    [
      'Leases',
      `${leases.open} open, ${leases.closing} closing; ${showUsd(leases.unspent_nanousd)} USD unspent. What calls hold of it, their accounts know.`,
      showLeases(leases.most),
    ],
    ['Waiting for the projector', `${unfolded.entries} entries, the oldest for ${unfolded.oldest_seconds} s`],
    [books.ok ? green('The books are right.') : red('The books are wrong.')],
  );
}

export function showAccount(account: AccountView): string {
  return sections(
    [`${account.handle ?? 'Account'} (${account.account})`, showPurses(account.purses)],
    ['Leases', showLeases(account.leases) || 'None is open.'],
    ['Transfers, the newest first', showTransfers(account.transfers)],
  );
}

export function showMiner(miner: MinerView): string {
  const hours = miner.maturing.map((m) => [m.hour, showUsd(m.amount_nanousd)]);
  const payouts = miner.payouts.map((p) => [p.requested_at, p.state, p.adapter, showUsd(p.nanousd), p.id, p.reason]);
  return sections(
    [`Miner ${miner.hotkey}`, showPurses(miner.purses)],
    ...(hours.length > 0 ? [['Pending, by hour', table(['hour', '#USD'], hours)]] : []),
    ...(payouts.length > 0 ? [['Payouts', table(['requested', 'state', 'by', '#USD', 'id', 'reason'], payouts)]] : []),
    ['Transfers, the newest first', showTransfers(miner.transfers)],
  );
}

export function showPayouts({ by_hand, others }: PayoutsView): string {
  const rows = (items: PayoutsView['others']) =>
    table(
      ['requested', 'state', '#USD', 'id', 'hotkey', 'to'],
      items.map((p) => [p.requested_at, p.state, showUsd(p.nanousd), p.id, p.hotkey, p.address]),
    ) || 'None.';
  return sections(['To pay by hand', rows(by_hand)], ['Under way without you', rows(others)]);
}

function showPurses(purses: PurseView[]): string {
  const rows = purses.map((p) => [
    p.id,
    showUsd(p.posted_nanousd),
    showUsd(p.unfolded_nanousd),
    showUsd(p.held_nanousd),
    showUsd(p.posted_nanousd - p.held_nanousd),
  ]);
  return table(['purse', '#posted', '#unfolded', '#held', '#free'], rows);
}

function showLeases(leases: LeaseView[]): string {
  const rows = leases.map((l) => [
    l.handle ?? '-',
    l.account,
    String(l.epoch),
    l.state,
    showUsd(l.cash_unspent_nanousd),
    showUsd(l.promo_unspent_nanousd),
    l.touched_at,
  ]);
  return table(['handle', 'account', '#epoch', 'state', '#cash', '#promo', 'last heard of'], rows);
}

/** A line per entry; what a transfer is stands before its first. */
function showTransfers(transfers: TransferView[]): string {
  const rows = transfers.flatMap((t) =>
    t.entries.map((e, i) => [
      ...(i === 0 ? [String(t.n), t.at, t.kind] : ['', '', '']),
      e.purse,
      showUsd(e.amount_nanousd),
      i === 0 ? noteOf(t) : '',
    ]),
  );
  return table(['#n', 'at', 'kind', 'purse', '#USD', 'ref, reason'], rows) || 'None.';
}

function noteOf({ ref, reason }: TransferView): string {
  return reason === '' ? ref : `${ref}, ${reason}`;
}

function sections(...parts: string[][]): string {
  return `${parts.map(([head = '', ...rest]) => [rest.length > 0 ? bold(head) : head, ...rest.filter((text) => text !== '')].join('\n')).join('\n\n')}\n`;
}

/** Columns as wide as needed; `#` before a head: its cells end at the right. Empty without rows. */
function table(heads: string[], rows: string[][]): string {
  if (rows.length === 0) return '';
  const titled = heads.every((head) => head === '' || head === '#broken') ? rows : [heads.map((head) => head.replace('#', '')), ...rows];
  const clean = titled.map((row) => row.map(printable));
  const widths = heads.map((_, i) => Math.max(...clean.map((row) => plainLength(row[i] ?? ''))));
  return clean
    .map((row) => `  ${row.map((cell, i) => pad(cell, widths[i] ?? 0, heads[i]?.startsWith('#') === true)).join('  ')}`.trimEnd())
    .join('\n');
}

function pad(cell: string, width: number, right: boolean): string {
  const blanks = ' '.repeat(width - plainLength(cell));
  return right ? blanks + cell : cell + blanks;
}

function plainLength(text: string): number {
  return stripVTControlCharacters(text).length;
}

/** What others wrote moves no cursor and has no colour; a verdict of ours has. */
function printable(text: string): string {
  return text === verdict(true) || text === verdict(false) ? text : text.replaceAll(/\p{C}/gu, '·');
}

function verdict(ok: boolean): string {
  return ok ? green('ok') : red('BROKEN');
}

const paint = (style: 'bold' | 'green' | 'red') => (text: string) => styleText(style, text, { stream: process.stdout });
const bold = paint('bold');
const green = paint('green');
const red = paint('red');
