/** A challenge of this agent on its way, as it survives: announced → sent → committed → sampled → ended; a transcript that grows. Pure. */
import * as z from 'zod/mini';
import { inventorySchema, type Inventory, type Login, type Manifest } from '#protocol';
import type { ChallengeOrder } from '../calls/ports.ts';
import { classFor, type Suite } from '../protocol/challenge/suite.ts';
import type { Transcript } from '../protocol/challenge/transcript.ts';
import { workFor } from '../protocol/challenge/work.ts';
import type { InstanceRow } from './rows.ts';

export type Draft = Omit<Transcript, 'end' | 'ended_at'> & { end: Transcript['end'] | null; ended_at: number | null };

export interface ChallengeRow {
  kind: 'challenge';
  key: string;
  step: 'announced' | 'sent' | 'committed' | 'sampled' | 'ended';
  /** Unix ms at which the step is given up. */
  due: number;
  draft: Draft;
  /** The record has not heard of it as it is. */
  untold: boolean;
  /** Uploads that were begun. */
  uploads: number;
  /** Another one of its device was before it, or its agent was away. */
  waited?: true;
}

export const challengeKey = (id: string): string => `ch:${id}`;

/** What there is to be tested: a device of the agent, or an instance with the files it must have. */
type Subject = Pick<Draft, 'device' | 'instance' | 'class' | 'profile' | 'steps'>;

/** Leaves that are asked of an instance. */
const LEAVES = 32;

/** Null: the agent has no such device or instance, or it has nothing of this kind to prove. */
export function subjectOf(
  { kind, target }: ChallengeOrder,
  agent: string,
  inventory: Inventory,
  instances: readonly InstanceRow[],
  suite: Suite,
): Subject | null {
  if (kind === 'fs' || kind === 'weights') {
    const it = instances.find((i) => i.instance === target && i.state === 'live');
    const files = kind === 'fs' ? it?.manifest : it?.weights;
    return it === undefined || files === undefined ? null : ofFiles(kind, it, files);
  }
  const device = inventory.devices.find((d) => `${agent}/${d.id}` === target);
  const tested = device === undefined ? null : classFor(suite, device);
  if (device === undefined || tested === null) return null;
  const { id, memoryMb } = device;
  const told = { id, kind: device.kind, name: storable(device.name), memoryMb };
  return { device: told, instance: null, class: tested.name, ...workFor(suite, kind, tested) };
}

function ofFiles(kind: 'fs' | 'weights', { instance, chute, version }: InstanceRow, { root, leaves }: Manifest): Subject {
  return { device: null, instance: { instance, chute, version, manifest: root, leaves }, class: '', profile: kind, steps: LEAVES };
}

export function draftOf(order: ChallengeOrder, hotkey: string, agent: string, login: Login, subject: Subject, round: number): Draft {
  const { id, kind, target, slot, scheduled } = order;
  const nothing = { commit: null, sample: null, opening: null, declined: null, end: null, ended_at: null };
  return { v: 1, id, kind, target, slot, scheduled, hotkey, agent, ...subject, round, sent_at: 0, rtt_ms: null, login, ...nothing };
}

/** As Postgres can hold it: an agent's text may have what no JSON of it takes. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '');
}

/** Likewise: one that the record cannot take would keep its agent out of it, and all who are counted with it. Null: nothing is left of a name. */
export function storableInventory(inventory: Inventory): Inventory | null {
  const text = JSON.stringify(inventory, (_, value: unknown) => (typeof value === 'string' ? storable(value) : value));
  const parsed = z.safeParse(inventorySchema, JSON.parse(text));
  return parsed.success ? parsed.data : null;
}
