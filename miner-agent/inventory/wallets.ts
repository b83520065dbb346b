/** Hotkeys of the Bittensor wallets of this user: names and places; the files are not opened. */
import { readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface WalletHotkey {
  wallet: string;
  hotkey: string;
  file: string;
}

/** More are not listed. */
const MOST = 64;

/** `~/.bittensor/wallets/WALLET/hotkeys/HOTKEY`; `default/default` first, then by name. */
export function findWallets(home = homedir()): WalletHotkey[] {
  const root = join(home, '.bittensor', 'wallets');
  const found = namesIn(root).flatMap((wallet) =>
    namesIn(join(root, wallet, 'hotkeys'))
      // Public halves lie beside the keys.
      .filter((hotkey) => !hotkey.endsWith('.txt'))
      .map((hotkey) => ({ wallet, hotkey, file: join(root, wallet, 'hotkeys', hotkey) })),
  );
  const rank = (w: WalletHotkey) => (w.wallet === 'default' ? 0 : 1) + (w.hotkey === 'default' ? 0 : 1);
  return found.toSorted((a, b) => rank(a) - rank(b) || (a.file < b.file ? -1 : 1)).slice(0, MOST);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}
