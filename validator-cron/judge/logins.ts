/** Logins whose signature was checked: an agent has few, its transcripts are many, and a check takes milliseconds. */
import { loginText, type Login } from '#protocol/hello.ts';

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
    const signed = this.#verify(text, login.signature, login.hotkey);
    for (const oldest of this.#checked.keys()) {
      if (this.#checked.size < MOST) break;
      this.#checked.delete(oldest);
    }
    this.#checked.set(name, signed);
    return signed;
  }

  get size(): number {
    return this.#checked.size;
  }
}
