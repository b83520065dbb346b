/** Versions: immutable, named by what they hold; a pointer says which one is current. */
import { SCALING, scalingOf, type ChuteConfig, type CodeRef, type Scaling, type VersionSpec } from '#protocol';
import type { PriceVersion } from '../prices/history.ts';
import { NOTHING_ATTACHED, type Attached } from '../secrets/attached.ts';
import { attach } from './attached.ts';
import type { BOUNDS } from './bounds.ts';
import { learn } from './prices.ts';
import { sortedJson } from '../protocol/canonical.ts';
import { tryNow } from './rent.ts';
import { dropRow, putRow, scalingNow } from './state.ts';
import type { Turn } from './state.ts';
import { pardon } from './strikes.ts';

/** The text whose SHA-256 is the version. Price and scaling are none of it: a change of them replaces no instance. */
export function versionText(config: ChuteConfig, code: CodeRef | null): string {
  const none = Object.fromEntries(['price', ...SCALING].map((field) => [field, undefined]));
  return sortedJson({ form: 'ripcord-version/2', config: { ...config, ...none }, code: code?.sha256 ?? null });
}

export interface DeployAsk {
  spec: VersionSpec;
  slug: string;
  /** What the chute asks now and next, as Postgres has it. */
  prices?: PriceVersion[];
  /** Secrets and shares, likewise. */
  attached?: Attached;
}

export interface DeployAnswer {
  version: string;
  /** False: this version was there already and only the pointer moved, or not even that. */
  created: boolean;
}

export function deploy(turn: Turn, ask: DeployAsk, bounds: typeof BOUNDS): DeployAnswer {
  const { spec, slug } = ask;
  const known = turn.state.versions.get(spec.version);
  const created = known === undefined;
  const row = known ?? { version: spec.version, spec, created: turn.now, deployed: turn.now };
  turn.state.versions.set(spec.version, row);
  turn.state.chute ??= { chute: spec.chute, name: spec.name, slug, owner: spec.account, created: turn.now, current: '' };
  point(turn, spec.version);
  scale(turn, scalingOf(spec.config));
  learn(turn, ask.prices ?? []);
  attach(turn, ask.attached ?? NOTHING_ATTACHED);
  tryNow(turn);
  pardon(turn);
  prune(turn, bounds.versions);
  return { version: spec.version, created };
}

/** Makes a kept version the current one; false if it is not kept. The scaling in force stays. */
export function rollback(turn: Turn, version: string): boolean {
  if (turn.state.chute === null || !turn.state.versions.has(version)) return false;
  const scaling = scalingNow(turn.state);
  point(turn, version);
  if (scaling !== null) scale(turn, scaling);
  return true;
}

function scale(turn: Turn, scaling: Scaling): void {
  const { chute } = turn.state;
  if (chute === null || SCALING.every((field) => chute.scaling?.[field] === scaling[field])) return;
  chute.scaling = scaling;
  turn.state.snapshot = null;
  putRow(turn, 'chute', chute.chute, chute);
}

function point(turn: Turn, version: string): void {
  const { chute, versions } = turn.state;
  const row = versions.get(version);
  if (chute === null || row === undefined || chute.current === version) return;
  chute.current = version;
  // Two deploys of one millisecond still have an order.
  row.deployed = Math.max(turn.now, ...[...versions.values()].filter((v) => v !== row).map((v) => v.deployed + 1));
  turn.state.snapshot = null;
  putRow(turn, 'chute', chute.chute, chute);
  putRow(turn, 'version', version, row);
}

/** Forgets the versions deployed longest ago that nothing runs. */
function prune(turn: Turn, keep: number): void {
  const { versions, instances, chute } = turn.state;
  const used = new Set([...instances.values()].map((row) => row.version));
  const idle = [...versions.values()].filter((v) => v.version !== chute?.current && !used.has(v.version));
  idle.sort((a, b) => a.deployed - b.deployed);
  for (const row of idle.slice(0, Math.max(0, versions.size - keep))) {
    versions.delete(row.version);
    dropRow(turn, 'version', row.version);
  }
}

/** Newest deploy first. */
export function versionList(
  turn: Pick<Turn, 'state'>,
): { version: string; created: number; deployed: number; current: boolean; code: string | null }[] {
  const { versions, chute } = turn.state;
  return [...versions.values()]
    .toSorted((a, b) => b.deployed - a.deployed)
    .map((v) => ({
      version: v.version,
      created: v.created,
      deployed: v.deployed,
      current: v.version === chute?.current,
      code: v.spec.code?.sha256 ?? null,
    }));
}
