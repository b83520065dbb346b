/** Cuts a program's output into lines, however long or fast it comes. */
import { StringDecoder } from 'node:string_decoder';
import { LIMITS } from '#protocol';

export class LineSplitter {
  readonly #line: (text: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  /** The rest of a line that was cut is skipped. */
  #cutting = false;
  constructor(line: (text: string) => void) {
    this.#line = line;
  }

  write(bytes: Buffer): void {
    const parts = (this.#rest + this.#decoder.write(bytes)).split('\n');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) this.#emit(part);
    if (this.#rest.length <= MAX_CHARS) return;
    if (!this.#cutting) this.#line(`${this.#rest.slice(0, MAX_CHARS)} …`);
    this.#cutting = true;
    this.#rest = '';
  }

  end(): void {
    this.#rest += this.#decoder.end();
    if (this.#rest !== '') this.#emit(this.#rest);
    this.#rest = '';
  }

  #emit(part: string): void {
    if (!this.#cutting) this.#line(part.endsWith('\r') ? part.slice(0, -1) : part);
    this.#cutting = false;
  }
}

/** So that a cut line with its mark stays inside the wire's limit. */
const MAX_CHARS = LIMITS.logLineBytes / 4;
