/**
 * What instances must have, by their manifests: made again before one starts, so that nobody can be caught without files that nobody
 * could have had; afterwards challenges are answered from it. What goes out is checked here first: bytes that do not belong to the
 * manifest are never sent.
 */
import { rm, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize, sep } from 'node:path';
import { checkPossession, encodePossession, possessionSamples } from '#protocol/challenge/possession.ts';
import type { Manifest, VersionSpec } from '#protocol';
import { fastSha256, NoManifest, openLeaves, treeOf, type FolderTree } from '../../cli/pack/manifest.ts';
import { StartFailed } from '../runtimes/runtime.ts';
import { unpack } from '../runtimes/unpack.ts';
import { Trees } from './trees.ts';

/** Archives that are unpacked, or wait for it. */
const UNPACKING = 8;

/** It cannot be proven; the message is what the edge hears. */
export class NotHeld extends Error {
  override readonly name = 'NotHeld';
}

export interface Holding {
  instance: string;
  spec: Pick<VersionSpec, 'code' | 'config'>;
  /** The unpacked code; null: this agent runs none of it. */
  codeFolder: string | null;
  /** The packed code, as it was deployed. */
  archive: () => Promise<string>;
}

interface Held {
  code: { folder: string; tree: FolderTree; archive: () => Promise<string> } | null;
  weights: { folder: string; tree: FolderTree } | null;
}

export class Possession {
  readonly #weightsFolder: string | null;
  readonly #trees = new Trees();
  readonly #held = new Map<string, Held>();
  #unpacking = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** `weightsFolder`: where the operator keeps models. */
  constructor(weightsFolder: string | null) {
    this.#weightsFolder = weightsFolder;
  }

  /** Before an instance starts; where its weights lie. Throws `StartFailed` where it has not got what its version names. */
  async take(
    { instance, spec, codeFolder, archive }: Holding,
    signal: AbortSignal,
    progress: (detail: string) => void,
  ): Promise<string | null> {
    const { manifest } = spec.code ?? {};
    const { weights } = spec.config;
    const held: Held = { code: null, weights: null };
    if (manifest !== undefined && codeFolder !== null)
      held.code = { folder: codeFolder, tree: await matching('the code folder', manifest, treeOf(codeFolder, signal)), archive };
    if (weights !== undefined) held.weights = await this.#findWeights(weights, codeFolder, signal, progress);
    if (held.code !== null || held.weights !== null) this.#held.set(instance, held);
    return held.weights?.folder ?? null;
  }

  forget(instance: string): void {
    this.#held.delete(instance);
  }

  /** The opening that the seed asks for. Throws `NotHeld`. */
  async open(instance: string, kind: 'fs' | 'weights', seed: string): Promise<Uint8Array> {
    const held = this.#held.get(instance);
    if (held === undefined) throw new NotHeld('it has no manifest here');
    if (kind === 'weights') return this.#fromWeights(held, seed);
    if (held.code === null) throw new NotHeld('its code does not run here');
    const { folder, tree, archive } = held.code;
    // Its program may have changed what it runs from; the packed code is whole.
    return (
      (await proven(folder, tree, seed)) ?? this.#alone(() => unpacked(`${folder}.proof`, archive, (fresh) => proven(fresh, tree, seed)))
    );
  }

  /** One archive is unpacked at a time, so that two challenges do not clear away each other's files. */
  async #alone(unpack: () => Promise<Uint8Array>): Promise<Uint8Array> {
    if (this.#unpacking >= UNPACKING) throw new NotHeld('too many challenges at once');
    this.#unpacking++;
    const turn = this.#last.then(unpack);
    this.#last = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      this.#unpacking--;
    }
  }

  async #fromWeights({ weights }: Held, seed: string): Promise<Uint8Array> {
    if (weights === null) throw new NotHeld('it has no weights here');
    const opening = await proven(weights.folder, weights.tree, seed);
    if (opening === null) throw new NotHeld('the weights changed since it started');
    return opening;
  }

  /** In the code, else in the operator's own folder of models. */
  async #findWeights(
    weights: NonNullable<VersionSpec['config']['weights']>,
    codeFolder: string | null,
    signal: AbortSignal,
    progress: (detail: string) => void,
  ): Promise<NonNullable<Held['weights']>> {
    const inside = insidePath(weights.path);
    if (inside === null) throw new StartFailed(`the path of its weights leads out: ${weights.path.slice(0, 80)}`);
    const what = `the folder of weights ${weights.path}`;
    progress('checking weights');
    const own = codeFolder === null ? null : join(codeFolder, inside);
    if (own !== null && (await isFolder(own))) return { folder: own, tree: await matching(what, weights, treeOf(own, signal)) };
    const kept = this.#weightsFolder === null ? null : join(this.#weightsFolder, inside);
    if (kept === null || !(await isFolder(kept))) throw new StartFailed(`the weights ${weights.path} are not on this machine`);
    const tree = this.#trees.of(kept, signal, (share) => progress(`checking weights ${share} %`));
    return { folder: kept, tree: await matching(what, weights, tree) };
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() === true;
}

/** Throws `StartFailed` where it is another. */
async function matching(what: string, { root, leaves }: Manifest, reading: Promise<FolderTree>): Promise<FolderTree> {
  let tree: FolderTree;
  try {
    tree = await reading;
  } catch (error) {
    if (error instanceof NoManifest) throw new StartFailed(`${what} has no manifest: ${error.message}`);
    throw error;
  }
  if (tree.root !== root || tree.leaves !== leaves)
    throw new StartFailed(`${what} is not what the version's manifest names (${tree.leaves} leaves, root ${tree.root.slice(0, 12)})`);
  return tree;
}

/** Null: what lies there is not what the manifest names. */
async function proven(folder: string, tree: FolderTree, seed: string): Promise<Uint8Array | null> {
  try {
    const opening = encodePossession(await openLeaves(folder, tree, possessionSamples({ ...tree, seed })));
    return checkPossession({ ...tree, seed }, opening, fastSha256) === null ? opening : null;
  } catch (error) {
    if (error instanceof NoManifest) return null;
    throw error;
  }
}

async function unpacked(
  into: string,
  archive: () => Promise<string>,
  use: (folder: string) => Promise<Uint8Array | null>,
): Promise<Uint8Array> {
  try {
    await rm(into, { recursive: true, force: true });
    await unpack(await archive(), into);
    const opening = await use(into);
    if (opening === null) throw new NotHeld('the packed code is not what the manifest names');
    return opening;
  } catch (error) {
    if (error instanceof StartFailed) throw new NotHeld(error.message);
    throw error;
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

/** A path that stays where it is put; null: it leads out. */
function insidePath(path: string): string | null {
  const plain = normalize(path);
  return isAbsolute(plain) || plain === '..' || plain.startsWith(`..${sep}`) || plain.includes('\0') ? null : plain;
}
