/** Log lines of instances on their way to the edge: bounded here, numbered, so that a gap shows what was dropped. Pure. */
import { LIMITS } from '#protocol';
import type { LogLine, LogMessage } from '#protocol';

/** Lines kept per instance while they cannot leave; then the oldest go. */
const KEPT = 1000;
/** Characters of one message, well inside `LIMITS.controlBytes` whatever they need as UTF-8 and JSON. */
const MESSAGE_CHARS = LIMITS.controlBytes / 8;

export class LogShipper {
  readonly #queues = new Map<string, { next: number; lines: LogLine[] }>();

  add(instance: string, line: LogLine): void {
    let queue = this.#queues.get(instance);
    if (queue === undefined) {
      queue = { next: 0, lines: [] };
      this.#queues.set(instance, queue);
    }
    queue.lines.push({ ...line, text: line.text.slice(0, LIMITS.logLineBytes / 4 + 2) });
    if (queue.lines.length <= KEPT) return;
    queue.lines.shift();
    queue.next++;
  }

  /** At most one message per instance; the rest waits for the next turn, which bounds the rate. */
  take(): LogMessage[] {
    const messages: LogMessage[] = [];
    for (const [instance, queue] of this.#queues) {
      if (queue.lines.length === 0) continue;
      const lines = queue.lines.splice(0, fitting(queue.lines));
      messages.push({ type: 'log', instance, seq: queue.next, lines });
      queue.next += lines.length;
    }
    return messages;
  }

  forget(instance: string): void {
    this.#queues.delete(instance);
  }
}

function fitting(lines: readonly LogLine[]): number {
  let chars = 0;
  let count = 0;
  for (const line of lines.slice(0, LIMITS.logLines)) {
    chars += line.text.length + 64;
    if (count > 0 && chars > MESSAGE_CHARS) break;
    count++;
  }
  return count;
}
