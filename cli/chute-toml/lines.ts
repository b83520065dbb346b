/**
 * Where a field stands in a TOML file. The parser tells positions of syntax errors only, so this reads the source once
 * more and notes the line of every key. It runs after the parser accepted the source and may therefore be lax.
 */

export type KeyPath = readonly (string | number)[];

/** The 1-based line of the field, or of the nearest thing around it that the file has; null if there is none. */
export function lineOf(source: string, path: KeyPath): number | null {
  const lines = keyLines(source);
  for (let length = path.length; length > 0; length -= 1) {
    const line = lines.get(keyOf(path.slice(0, length)));
    if (line !== undefined) return line;
  }
  return null;
}

/** The line of every key path in the source, by `keyOf(path)`. */
export function keyLines(source: string): Map<string, number> {
  const scanner = new Scanner(source);
  scanner.document();
  return scanner.lines;
}

export function keyOf(path: KeyPath): string {
  return JSON.stringify(path);
}

const BARE = /[^\s=.\]"'#,{}[]/;
const ESCAPES: Record<string, string> = { b: '\b', t: '\t', n: '\n', f: '\f', r: '\r', e: '\u001b' };

class Scanner {
  readonly lines = new Map<string, number>();
  readonly #source: string;
  /** How many tables an array of tables has so far. */
  readonly #tables = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(source: string) {
    this.#source = source;
  }

  document(): void {
    let base: (string | number)[] = [];
    for (this.#blank(); this.#at < this.#source.length; this.#blank()) {
      if (this.#peek() === '[') base = this.#header();
      else this.#pair(base);
    }
  }

  /** `[table]` or `[[array of tables]]`; the path its keys belong to. */
  #header(): (string | number)[] {
    const line = this.#line;
    const isArray = this.#source.startsWith('[[', this.#at);
    this.#skip(isArray ? 2 : 1);
    const keys = this.#keys();
    this.#skip(isArray ? 2 : 1);
    const path: (string | number)[] = [];
    for (const [i, key] of keys.entries()) {
      path.push(key);
      const count = this.#tables.get(keyOf(path)) ?? 0;
      if (isArray && i === keys.length - 1) {
        this.#tables.set(keyOf(path), count + 1);
        this.#note(path, line);
        path.push(count);
      } else if (count > 0) path.push(count - 1);
      this.#note(path, line);
    }
    return path;
  }

  #pair(base: readonly (string | number)[]): void {
    const line = this.#line;
    const path = [...base];
    for (const key of this.#keys()) {
      path.push(key);
      this.#note(path, line);
    }
    if (this.#peek() === '=') this.#skip(1);
    this.#gap();
    this.#value(path);
  }

  #value(path: readonly (string | number)[]): void {
    const char = this.#peek();
    if (char === '"' || char === "'") this.#string();
    else if (char === '[') this.#list(']', (index) => this.#element([...path, index]));
    else if (char === '{') this.#list('}', () => this.#pair(path));
    else this.#while((c) => !'\n#,]}'.includes(c));
  }

  #element(path: readonly (string | number)[]): void {
    this.#note(path, this.#line);
    this.#value(path);
  }

  #list(end: string, item: (index: number) => void): void {
    this.#skip(1);
    this.#blank();
    for (let index = 0; this.#at < this.#source.length && this.#peek() !== end; index += 1) {
      item(index);
      this.#blank();
      if (this.#peek() === ',') this.#skip(1);
      this.#blank();
    }
    this.#skip(1);
  }

  /** A dotted key: bare and quoted parts. */
  #keys(): string[] {
    const keys: string[] = [];
    for (;;) {
      this.#gap();
      const char = this.#peek();
      if (char === '"' || char === "'") keys.push(this.#string());
      else {
        const bare = this.#while((c) => BARE.test(c));
        // What is no key would be read here for ever.
        if (bare === '') this.#skip(1);
        keys.push(bare);
      }
      this.#gap();
      if (this.#peek() !== '.') return keys;
      this.#skip(1);
    }
  }

  /** Any of the four kinds of strings; its value as far as a key needs it. */
  #string(): string {
    const quote = this.#peek();
    const long = this.#source.startsWith(quote.repeat(3), this.#at) ? quote.repeat(3) : quote;
    this.#skip(long.length);
    let value = '';
    while (this.#at < this.#source.length && !this.#source.startsWith(long, this.#at)) {
      if (quote === '"' && this.#peek() === '\\') value += this.#escape();
      else {
        value += this.#peek();
        this.#skip(1);
      }
    }
    this.#skip(long.length);
    // A long string may end in up to two more quotes.
    if (long.length === 3) this.#while((c) => c === quote);
    return value;
  }

  #escape(): string {
    const letter = this.#source[this.#at + 1] ?? '';
    const digits = letter === 'u' ? 4 : letter === 'U' ? 8 : letter === 'x' ? 2 : 0;
    const code = Number.parseInt(this.#source.slice(this.#at + 2, this.#at + 2 + digits), 16);
    this.#skip(2 + digits);
    if (digits > 0) return code <= 0x10ffff ? String.fromCodePoint(code) : '';
    return ESCAPES[letter] ?? letter;
  }

  /** Blanks, line ends and comments. */
  #blank(): void {
    for (;;) {
      this.#while((c) => c === ' ' || c === '\t' || c === '\n' || c === '\r');
      if (this.#peek() !== '#') return;
      this.#while((c) => c !== '\n');
    }
  }

  #gap(): void {
    this.#while((c) => c === ' ' || c === '\t');
  }

  #while(holds: (char: string) => boolean): string {
    const from = this.#at;
    while (this.#at < this.#source.length && holds(this.#peek())) this.#skip(1);
    return this.#source.slice(from, this.#at);
  }

  #skip(count: number): void {
    for (let i = 0; i < count; i += 1, this.#at += 1) if (this.#source[this.#at] === '\n') this.#line += 1;
  }

  #peek(): string {
    return this.#source[this.#at] ?? '';
  }

  /** The first mention of a thing is where people look for it. */
  #note(path: KeyPath, line: number): void {
    const key = keyOf(path);
    if (!this.lines.has(key)) this.lines.set(key, line);
  }
}
