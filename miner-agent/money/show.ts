/** A miner's money as text for people: dollars with every digit that counts, times in UTC. */
import { showUsd } from '#protocol/usd.ts';
import type { AddressesAnswer, EarningsAnswer, PayoutAnswer } from './edge.ts';

/** Nano-USD as dollars: cents at least, and no digit lost. */
export function usd(nanousd: string | bigint): string {
  return showUsd(nanousd).replace(/^-?/, '$&$');
}

/** Dollars as a person writes them (`12.5`), in nano-USD; null: not an amount above zero, or finer than nano-USD. */
export function readUsd(text: string): bigint | null {
  const [, whole, fraction = ''] = /^\$?(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (whole === undefined) return null;
  const nanousd = BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
  return nanousd > 0n ? nanousd : null;
}

export function earningsText(earnings: EarningsAnswer): string {
  const next = earnings.next_matures_at === null ? '' : `next payable ${showTime(earnings.next_matures_at)}`;
  const sums = table([
    ['PENDING', usd(earnings.pending_nanousd), next],
    ['PAYABLE', usd(earnings.payable_nanousd), ''],
    ['IN FLIGHT', usd(earnings.in_flight_nanousd), ''],
    ['PAID', usd(earnings.paid_nanousd), ''],
    ...emissionRow(earnings.emission),
  ]);
  const rows = earnings.chutes.map((c) => [printable(c.name ?? c.chute_id), String(c.attempts), usd(c.share_nanousd)]);
  return rows.length === 0 ? sums : `${sums}\n\n${table([[`CHUTE (${earnings.days} DAYS)`, 'ATTEMPTS', 'EARNED'], ...rows])}`;
}

/** What the chain gave, in the subnet's own coin (9 decimals, as TAO has); it is in the wallet already. */
function emissionRow(emission: EarningsAnswer['emission']): string[][] {
  if (emission === undefined || emission.epochs === 0) return [];
  const last = `${showUsd(emission.last_rao)} α in its newest epoch`;
  return [['EMISSION', `${showUsd(emission.total_rao)} α`, `${last}, ${emission.epochs} epochs seen`]];
}

export function payoutsText(items: readonly PayoutAnswer[]): string {
  if (items.length === 0) return 'No payouts yet. ripcord-miner payouts request asks for one.';
  const rows = items.map((p) => [showTime(p.requested_at), p.state, usd(p.amount_nanousd), tao(p.rao), printable(p.address), whatElse(p)]);
  return table([['ASKED', 'STATE', 'AMOUNT', 'TAO', 'TO', ''], ...rows]);
}

export function requestedText(payout: PayoutAnswer): string {
  return `${usd(payout.amount_nanousd)} will be paid to ${printable(payout.address)}; ripcord-miner payouts shows how far it is.`;
}

export function addressText({ active, waiting }: AddressesAnswer): string {
  const line = (what: string, of: AddressesAnswer['active'], at: string) =>
    of === null ? [] : [`${what} ${of.kind} ${printable(of.address)}${at}`];
  const lines = [
    ...line('Paid to', active, ''),
    ...line('Then to', waiting, waiting === null ? '' : ` from ${showTime(waiting.active_at)} on`),
  ];
  return lines.length === 0 ? 'No payout address. ripcord-miner payouts address SS58 sets one.' : lines.join('\n');
}

function whatElse(payout: PayoutAnswer): string {
  return printable(payout.reason === '' ? (payout.extrinsic ?? '') : payout.reason);
}

/** Rao as TAO. */
function tao(rao: string | null): string {
  return rao === null ? '-' : showUsd(rao);
}

function showTime(at: string): string {
  return at.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return lines.map((line) => line.trimEnd()).join('\n');
}

/** What comes from others, without what a terminal would obey. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?').slice(0, 200);
}
