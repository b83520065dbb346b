/** The engine's own count of tokens, read from the end of its reply: the last `usage` of a JSON body or of an event stream. */

const TAIL_BYTES = 4096;

export class UsageTail {
  #parts: Uint8Array[] = [];
  #size = 0;

  append(bytes: Uint8Array): void {
    const kept = bytes.byteLength > TAIL_BYTES ? bytes.subarray(bytes.byteLength - TAIL_BYTES) : bytes;
    this.#parts.push(kept);
    this.#size += kept.byteLength;
    while (this.#parts.length > 1 && this.#size - (this.#parts[0]?.byteLength ?? 0) >= TAIL_BYTES) {
      this.#size -= this.#parts.shift()?.byteLength ?? 0;
    }
  }

  read(): { tokensIn: number | null; tokensOut: number | null } {
    const decoder = new TextDecoder();
    const text = this.#parts.map((part) => decoder.decode(part, { stream: true })).join('');
    const usage = text.slice(Math.max(0, text.lastIndexOf('"usage"')));
    if (!usage.startsWith('"usage"')) return { tokensIn: null, tokensOut: null };
    return { tokensIn: count(usage, 'prompt_tokens'), tokensOut: count(usage, 'completion_tokens') };
  }
}

function count(text: string, name: string): number | null {
  const match = new RegExp(`"${name}"\\s*:\\s*(\\d{1,12})(?!\\d)`).exec(text);
  return match === null ? null : Number(match[1]);
}
