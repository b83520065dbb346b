/** The file of evidence out of what the record holds (pure): which lines, in which order, in which text. */
import * as z from 'zod/mini';
import { canonicalJson } from '../protocol/canonical.ts';
import { transcriptSchema } from '../protocol/challenge/index.ts';
import { evidenceLineSchema, type EvidenceHead, type EvidenceLine } from '../protocol/epoch.ts';

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

/** The whole file: one canonical text per line. Each line once: of two of one name the first by text stays. */
export function evidenceText(head: EvidenceHead, lines: readonly EvidenceLine[]): string[] {
  const keyed = lines.map((line) => ({ kind: KINDS.indexOf(line.t), key: keyOf(line), text: canonicalJson(line) }));
  keyed.sort((a, b) => a.kind - b.kind || compare(a.key, b.key) || compare(a.text, b.text));
  const once = keyed.filter((line, k) => line.kind !== keyed[k - 1]?.kind || line.key !== keyed[k - 1]?.key);
  return [canonicalJson(head), ...once.map((line) => line.text)];
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
