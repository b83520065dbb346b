/** Logins whose signature was checked: an agent has few, its transcripts are many, and a check takes milliseconds. */
import { loginText, type Login } from '#protocol/hello.ts';

/** sr25519 over the text; the signature is 128 hex digits. */
type Verify = (text: string, signature: string, hotkey: string) => boolean;

/** Logins that are remembered. */
const MOST = 4_096;

export class Logins {
  readonly #verify: Verify;
  readonly #checked = new Map<string, boolean>();

  constructor(verify: Verify) {
    this.#verify = verify;
  }

  signed(login: Login): boolean {
    const text = loginText(login);
    const name = [login.hotkey, login.signature, text].join('\n');
    const known = this.#checked.get(name);
    if (known !== undefined) return known;
    const signed = this.#signed(text, login);
    for (const oldest of this.#checked.keys()) {
      if (this.#checked.size < MOST) break;
      this.#checked.delete(oldest);
    }
    this.#checked.set(name, signed);
    return signed;
  }

  /** What is no signature at all is one that nobody made: no login may keep a transcript from being judged. */
  #signed(text: string, { signature, hotkey }: Login): boolean {
    try {
      return this.#verify(text, signature.replace(/^0x/, ''), hotkey);
    } catch {
      return false; // libraries throw on bytes that are no point
    }
  }

  get size(): number {
    return this.#checked.size;
  }
}
