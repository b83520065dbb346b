/**
 * The images this agent pulled, noted in one file: who may use them without another pull, and which go when space is short.
 * An image that is here but not noted is the machine's own: a chute that names it must be able to pull it.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod/mini';

const noteSchema = z.array(
  z.object({
    name: z.string().check(z.maxLength(1024)),
    /** Accounts whose credentials it came with; null: it came without any. */
    accounts: z.nullable(z.array(z.string())),
    usedAt: z.number(),
  }),
);
type Note = z.infer<typeof noteSchema>[number];

/** Notes kept; then the image unused the longest is forgotten, and stays. */
const KEPT = 1024;

export class PulledImages {
  readonly #file: string;
  #notes: Note[];
  constructor(file: string) {
    this.#file = file;
    this.#notes = read(file);
  }

  /** Whether an account may use it without asking its registry again. */
  mayUse(name: string, account: string): boolean {
    const note = this.#notes.find((n) => n.name === name);
    return note !== undefined && (note.accounts === null || note.accounts.includes(account));
  }

  /** It is used now; `privately`: it was pulled with credentials of the account. */
  used(name: string, account: string, privately: boolean, now: number): void {
    const before = this.#notes.find((n) => n.name === name);
    const accounts = before?.accounts === null || !privately ? null : [...new Set([...(before?.accounts ?? []), account])];
    this.#notes = [...this.#notes.filter((n) => n.name !== name), { name, accounts, usedAt: now }].slice(-KEPT);
    this.#write();
  }

  forget(name: string): void {
    this.#notes = this.#notes.filter((n) => n.name !== name);
    this.#write();
  }

  /** Names, the one unused the longest first. */
  oldestFirst(): string[] {
    return this.#notes.toSorted((a, b) => a.usedAt - b.usedAt).map((n) => n.name);
  }

  #write(): void {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    writeFileSync(`${this.#file}.new`, JSON.stringify(this.#notes), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function read(file: string): Note[] {
  try {
    return noteSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return [];
  }
}
