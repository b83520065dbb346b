/** Files of an epoch: canonical, ordered, bounded, and hostile ones refused with the place. */
import { describe, expect, test } from 'vitest';
import { EvidenceFile, presenceLine, transcriptLine } from '../../../functions/epochs/lines.ts';
import { canonicalJson, sha256Of } from '#protocol/canonical.ts';
import type { EvidenceHead, EvidenceLine } from '#protocol/epoch.ts';
import { FileError, readEvidence, readFindings } from '../../../validator-cron/epoch.ts';

const HASH = 'ab'.repeat(32);
const HEAD: EvidenceHead = {
  t: 'head',
  v: 1,
  epoch: 60,
  seconds: 60,
  suite: 'development',
  suite_sha256: HASH,
  previous: HASH,
  beacon: HASH,
};
const hotkey = (letter: string) => `5${letter.repeat(47)}`;
const neuron = (uid: number): EvidenceLine => ({ t: 'neuron', uid, hotkey: hotkey('A'), coldkey: hotkey('B'), permit: false });
const served = (letter: string, completed: number): EvidenceLine => ({
  t: 'served',
  hotkey: hotkey(letter),
  completed,
  failed: 0,
  first_byte_ms: null,
});
const bytes = (text: string) => new TextEncoder().encode(text);
const fileOf = (lines: readonly EvidenceLine[]) => {
  const file = new EvidenceFile(HEAD);
  for (const line of lines) expect(file.add(line)).toBe(true);
  return file.bytes();
};

test('one text for one value, whatever the order of its keys', () => {
  expect(canonicalJson({ b: [1, { d: null, c: 'x' }], a: undefined, A: true })).toBe('{"A":true,"b":[1,{"c":"x","d":null}]}');
  expect(canonicalJson({ b: 1, a: 2 })).toBe(canonicalJson({ a: 2, b: 1 }));
  for (const number of [1.5, NaN, 2 ** 60]) expect(() => canonicalJson({ number })).toThrow('no canonical text');
  expect(sha256Of('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test('any order of the lines is the same file, and a line of one name is in it once', () => {
  const lines = [neuron(10), neuron(9), served('B', 2), served('A', 1), served('A', 3)];
  const file = fileOf(lines);
  expect(fileOf(lines.toReversed())).toEqual(file);
  const { neurons, served: attempts } = readEvidence(file);
  expect(neurons.map((n) => n.uid)).toEqual([9, 10]);
  expect(attempts.map((s) => [s.hotkey[1], s.completed])).toEqual([
    ['A', 1],
    ['B', 2],
  ]);
});

test('a file that is full takes no more and is a file', () => {
  const most = fileOf([neuron(1), neuron(2)]).length;
  const file = new EvidenceFile(HEAD, most);
  expect([3, 1, 2].map((uid) => file.add(neuron(uid)))).toEqual([true, true, false]);
  expect(readEvidence(file.bytes()).neurons.map((n) => n.uid)).toEqual([1, 3]);
});

test('rows that are no lines are left out', () => {
  const row = {
    agentId: 'agt',
    device: 'd',
    instance: '',
    hotkey: hotkey('A'),
    since: 0,
    fromSlot: 60,
    toSlot: 60,
    slots: 1,
    need: 0,
    serving: 0,
  };
  expect(presenceLine({ ...row, body: { kind: 'cpu', name: 'n', memory_mb: 1 } })).toMatchObject({ t: 'presence', device: 'd' });
  expect(presenceLine({ ...row, instance: 'ins', body: { chute: 'c', version: 'v' } })).toMatchObject({ t: 'instance', chute: 'c' });
  for (const body of [null, 'x', {}, { kind: 'tpu', name: 'n', memory_mb: 1 }]) expect(presenceLine({ ...row, body })).toBeNull();
  for (const body of [null, {}, { v: 1, id: 'chl_1' }]) expect(transcriptLine(body)).toBeNull();
});

describe('a file that is none', () => {
  const head = canonicalJson(HEAD);
  test.each([
    ['nothing', '', /the head is expected/],
    ['no head', `${canonicalJson(neuron(1))}\n`, /the head is expected/],
    ['two heads', `${head}\n${head}\n`, /more than one head/],
    ['no JSON', `${head}\nx\n`, /line 2/],
    ['a wrong field', `${head}\n${canonicalJson({ ...neuron(1), uid: -1 })}\n`, /line 2: uid/],
    ['cut off', `${head}\n${canonicalJson(neuron(1))}`, /line end/],
    ['too many lines', `${head}\n${'\n'.repeat(200_001)}`, /more than 200000 lines/],
  ])('%s', (_, text, words) => {
    expect(() => readEvidence(bytes(text))).toThrow(words);
    expect(() => readEvidence(bytes(text))).toThrow(FileError);
  });

  test('too many bytes', () => {
    expect(() => readFindings(new Uint8Array(16 * 1024 * 1024 + 1))).toThrow(/more than 16777216 bytes/);
  });
});
