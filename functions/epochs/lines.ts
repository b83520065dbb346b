/** The file of evidence out of what the record holds (pure): which lines, in which order, in which text. */
import { utf8ToBytes } from '@noble/hashes/utils.js';
import * as z from 'zod/mini';
import { canonicalJson } from '../protocol/canonical.ts';
import { transcriptSchema } from '../protocol/challenge/index.ts';
import { EPOCH_LIMITS, evidenceLineSchema, type EvidenceHead, type EvidenceLine } from '../protocol/epoch.ts';

/** Order of the kinds of lines; within a kind by what names a line. */
const KINDS = ['head', 'presence', 'instance', 'use', 'served', 'neuron', 'transcript'] as const satisfies EvidenceLine['t'][];

export interface PresenceRow {
  agentId: string;
  device: string;
  instance: string;
  hotkey: string;
  body: unknown;
  since: number;
  fromSlot: number;
  toSlot: number;
  slots: number;
  need: number;
  serving: number;
}

/** The line of a device or an instance; null: the row is none. */
export function presenceLine(row: PresenceRow): EvidenceLine | null {
  const { hotkey, agentId: agent, device, instance, since, slots } = row;
  const common = { hotkey, agent, since, from: row.fromSlot, to: row.toSlot, slots };
  const body = typeof row.body === 'object' && row.body !== null ? row.body : {};
  if (instance !== '') return lineOf({ ...body, t: 'instance', ...common, instance });
  return lineOf({ ...body, t: 'presence', ...common, device, need: row.need, serving: row.serving });
}

/** The line of a transcript; null: it is none that could be judged. */
export function transcriptLine(body: unknown): EvidenceLine | null {
  const parsed = z.safeParse(transcriptSchema, body);
  return parsed.success ? { t: 'transcript', ...parsed.data } : null;
}

/**
 * The file as it grows: one canonical text per line, in the order of the kinds. Only the texts are kept: what they are made of would
 * not fit into a Worker beside them.
 */
export class EvidenceFile {
  readonly #most: number;
  readonly #lines: { kind: number; key: string; text: string }[] = [];
  #bytes = 0;

  /** Of at most so many bytes. */
  constructor(head: EvidenceHead, most: number = EPOCH_LIMITS.evidenceBytes) {
    this.#most = most;
    this.add(head);
  }

  /** False: it has no room left. */
  add(line: EvidenceLine): boolean {
    const text = `${canonicalJson(line)}\n`;
    const bytes = utf8ToBytes(text).length;
    if (this.#bytes + bytes > this.#most) return false;
    this.#bytes += bytes;
    this.#lines.push({ kind: KINDS.indexOf(line.t), key: keyOf(line), text });
    return true;
  }

  /** Each line once: of two of one name the first by text stays. */
  bytes(): Uint8Array {
    const lines = this.#lines.sort((a, b) => a.kind - b.kind || compare(a.key, b.key) || compare(a.text, b.text));
    const file = new Uint8Array(this.#bytes);
    const encoder = new TextEncoder();
    let end = 0;
    for (const [k, { kind, key, text }] of lines.entries()) {
      const before = lines[k - 1];
      if (before?.kind !== kind || before.key !== key) end += encoder.encodeInto(text, file.subarray(end)).written;
    }
    return file.subarray(0, end);
  }
}

function lineOf(line: unknown): EvidenceLine | null {
  const parsed = z.safeParse(evidenceLineSchema, line);
  return parsed.success ? parsed.data : null;
}

function keyOf(line: EvidenceLine): string {
  switch (line.t) {
    case 'head':
      return '';
    case 'presence':
      return `${line.agent}/${line.device}`;
    case 'instance':
      return `${line.instance}/${line.agent}`;
    case 'use':
      return `${line.chute}/${line.payer}/${line.hotkey}`;
    case 'served':
      return line.hotkey;
    case 'neuron':
      return String(line.uid).padStart(5, '0');
    case 'transcript':
      return line.id;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
