/** Finds stop strings in a text that arrives in pieces; holds back what may yet become one. */
export class StopScanner {
  readonly #stops: readonly string[];
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** What may be shown now, and whether a stop string was reached (the text before it is in `text`). */
  push(piece: string): { text: string; stopped: boolean } {
    this.#held += piece;
    const at = this.#firstStop();
    if (at !== -1) {
      const text = this.#held.slice(0, at);
      this.#held = '';
      return { text, stopped: true };
    }
    const keep = this.#possibleStart();
    const text = this.#held.slice(0, this.#held.length - keep);
    this.#held = this.#held.slice(this.#held.length - keep);
    return { text, stopped: false };
  }

  /** What was held back for nothing, at the end of the text. */
  rest(): string {
    return this.#held;
  }

  #firstStop(): number {
    const places = this.#stops.map((stop) => this.#held.indexOf(stop)).filter((at) => at !== -1);
    return places.length === 0 ? -1 : Math.min(...places);
  }

  /** Length of the longest end of the held text that begins a stop string. */
  #possibleStart(): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, this.#held.length); length > longest; length--) {
        if (this.#held.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
