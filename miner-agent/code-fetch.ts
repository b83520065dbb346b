/** Brings a packed code folder from the edge onto this disk through the agent's own socket. */
import type { Grant } from '#protocol';
import type { CoreEvent } from './connection/events.ts';
import type { BlobStore, BlobWriter } from './runtimes/blob-store.ts';
import { StartFailed } from './runtimes/runtime.ts';

interface Take {
  writer: BlobWriter;
  /** Writes happen one after the other. */
  tail: Promise<void>;
  got: number;
  total: number;
  progress: (detail: string) => void;
  resolve: () => void;
  reject: (error: Error) => void;
}

export class CodeFetch {
  readonly #store: BlobStore;
  readonly #dispatch: (event: CoreEvent) => void;
  readonly #takes = new Map<string, Take>();

  constructor(store: BlobStore, dispatch: (event: CoreEvent) => void) {
    this.#store = store;
    this.#dispatch = dispatch;
  }

  /** The file with the code of this grant. Throws `StartFailed`. */
  async fetch(grant: Grant, signal: AbortSignal, progress: (detail: string) => void): Promise<string> {
    const { code } = grant.spec;
    if (code === null) throw new StartFailed('the version has no code');
    const here = await this.#store.find(code.sha256);
    if (here !== null) return here;
    const writer = await this.#store.take(code.sha256, grant.instance);
    try {
      await this.#run(grant.instance, code, writer, signal, progress);
      return await writer.done();
    } catch (error) {
      await writer.abandon();
      throw error;
    } finally {
      this.#takes.delete(grant.instance);
    }
  }

  async #run(
    instance: string,
    code: { sha256: string; bytes: number },
    writer: BlobWriter,
    signal: AbortSignal,
    progress: (detail: string) => void,
  ): Promise<void> {
    const whole = new Promise<void>((resolve, reject) => {
      const stop = () => reject(new StartFailed('stopped while fetching the code'));
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop, { once: true });
      this.#takes.set(instance, { writer, tail: Promise.resolve(), got: 0, total: code.bytes, progress, resolve, reject });
    });
    progress('fetching 0 %');
    this.#dispatch({ type: 'fetch', instance, blob: code.sha256, bytes: code.bytes });
    await whole;
  }

  bytes(instance: string, bytes: Uint8Array): void {
    const take = this.#takes.get(instance);
    if (take === undefined) return;
    take.got += bytes.byteLength;
    take.tail = take.tail.then(async () => {
      await take.writer.write(bytes);
      this.#dispatch({ type: 'stored', instance, bytes: bytes.byteLength });
      take.progress(`fetching ${Math.floor((10 * take.got) / take.total) * 10} %`);
    });
    take.tail.catch((error: unknown) =>
      take.reject(new StartFailed(`cannot store the code (${error instanceof Error ? error.message : 'unknown'})`)),
    );
  }

  end(instance: string): void {
    const take = this.#takes.get(instance);
    void take?.tail.then(take.resolve, () => {});
  }

  failed(instance: string, message: string): void {
    this.#takes.get(instance)?.reject(new StartFailed(message));
  }
}
