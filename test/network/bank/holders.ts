/** Accounts with money, and the paid calls they make. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from '../../../cli/client.ts';
import { giveCredit } from '../../../dev/credit.ts';
import { hotkeyOf } from '../../../dev/hotkeys.ts';
import type { DemoChute, TestNetwork } from '../../harness/network.ts';

export interface Holder {
  name: string;
  account: string;
  key: string;
}

/** Nano-USD each account starts with. */
export const CREDIT = 20_000_000_000n;
const FOLDER = join(import.meta.dirname, '../chutes/bank');

export async function openAccounts(network: TestNetwork, wish: { accounts: number; seed: number }): Promise<Holder[]> {
  const holders: Holder[] = [];
  const open = async (index: number): Promise<void> => {
    const name = `bank${index}`;
    const seed = (BigInt(wish.seed) * 1_000_000n + BigInt(index) + 1n).toString(16).padStart(64, '0');
    const client = new Client({ api: network.api, hotkey: hotkeyOf(seed) });
    const { account_id: account } = await client.signUp(name);
    const { secret_key: key } = await client.createKey({ name: 'bank', scopes: ['invoke', 'read'] });
    await giveCredit(network.databaseUrl, account, CREDIT, `bank/${name}`);
    holders[index] = { name, account, key };
  };
  for (let from = 0; from < wish.accounts; from += 8)
    await Promise.all(Array.from({ length: Math.min(8, wish.accounts - from) }, (_, k) => open(from + k)));
  return holders;
}

/**
 * `whole`, or what came instead. A refusal before anything ran is tried again, as often as there is patience: for the
 * receipts it is the same call.
 */
export async function call(network: TestNetwork, holder: Holder, number: number, random: () => number, patience = 200): Promise<string> {
  const stream = random() < 0.5;
  const tokens = 1 + Math.floor(random() * 12);
  for (let tries = 0; ; tries++) {
    const reply = await fetch(`${network.api}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${holder.key}`,
        'content-type': 'application/json',
        'x-bank-call': `${holder.name}:${number}`,
      },
      body: body(tokens, stream),
    }).catch((error: unknown) => String(error));
    if (typeof reply === 'string') return reply;
    const text = await reply.text().catch(() => 'broke off');
    const { status } = reply;
    if ((status === 429 || status === 503) && tries < patience) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    if (status !== 200) return `${status} ${reply.headers.get('x-ripcord-error') ?? ''}`;
    return isWhole(text, stream, tokens) ? 'whole' : `cut: ${text.slice(-200)}`;
  }
}

/** Every token, once, and the end. */
function isWhole(text: string, stream: boolean, tokens: number): boolean {
  return text.split('tok ').length === tokens + 1 && (stream ? text.endsWith('data: [DONE]\n\n') : text.endsWith('}'));
}

function body(tokens: number, stream: boolean): string {
  return JSON.stringify({ model: 'demo/bank', max_tokens: tokens, stream, messages: [{ role: 'user', content: 'Count.'.repeat(tokens) }] });
}

/** The bank's chute, with its receipts kept in this place. */
export async function chuteIn(place: string): Promise<DemoChute> {
  const folder = join(place, 'bank');
  await cp(FOLDER, folder, { recursive: true });
  const toml = join(folder, 'chute.toml');
  await writeFile(toml, `${await readFile(toml, 'utf8')}\n[env]\nRECEIPTS = ${JSON.stringify(place)}\n`);
  return { folder, probe: { path: '/v1/chat/completions', type: 'application/json', body: body(1, false) } };
}
