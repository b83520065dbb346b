/** Hotkeys of the local network's people: made once, kept in the data folder. */
import { existsSync } from 'node:fs';
import { secretFromSeed } from '@scure/sr25519';
import { createHotkeyFile, Hotkey, loadHotkey } from '../miner-agent/identity/hotkey.ts';

/** The hotkey in this file; the file is made if there is none. */
export function hotkeyIn(file: string): Hotkey {
  return existsSync(file) ? loadHotkey(file) : createHotkeyFile(file);
}

/** The hotkey of a seed, 64 hex digits. */
export function hotkeyOf(seed: string): Hotkey {
  return new Hotkey(secretFromSeed(Buffer.from(seed, 'hex')));
}
