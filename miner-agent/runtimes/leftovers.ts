/**
 * Which processes are ours. A pid alone says nothing after a restart, so a process counts as ours only if it started when
 * we noted it did and carries our mark in its environment.
 */
import { linkSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Set in the environment of every program the agent starts. */
export const MARK = 'RIPCORD_INSTANCE';

interface Note {
  pid: number;
  startedAt: string;
  instance: string;
}

export class PidNotes {
  readonly #folder: string;
  constructor(folder: string) {
    this.#folder = folder;
  }

  write(instance: string, pid: number): void {
    const startedAt = startTime(pid);
    if (startedAt === null) return;
    writeFileSync(this.#fileOf(instance), JSON.stringify({ pid, startedAt, instance } satisfies Note), { mode: 0o600 });
  }

  remove(instance: string): void {
    rmSync(this.#fileOf(instance), { force: true });
  }

  /** Kills what an agent that crashed left running in this data folder; returns the instances. */
  reap(): string[] {
    const reaped: string[] = [];
    for (const name of readdirSync(this.#folder)) {
      if (!name.endsWith('.pid')) continue;
      const note = readNote(join(this.#folder, name));
      if (note !== null && isOurs(note) && killGroup(note.pid, 'SIGKILL')) reaped.push(note.instance);
      rmSync(join(this.#folder, name), { force: true });
    }
    return reaped;
  }

  #fileOf(instance: string): string {
    return join(this.#folder, `${instance.replace(/[^A-Za-z0-9_-]/g, '_')}.pid`);
  }
}

/** The pid of the agent that has the data folder, or null. */
export function holderOf(folder: string): number | null {
  const note = readNote(join(folder, 'agent.lock'));
  return note !== null && isHeld(note) ? note.pid : null;
}

function isHeld(note: Note | null): boolean {
  return note !== null && startTime(note.pid) === note.startedAt;
}

/** One agent per data folder. Returns the pid of the agent that has it, or null once it is ours: of several that try at once, one's. */
export function takeFolder(folder: string): number | null {
  const file = join(folder, 'agent.lock');
  const own = `${file}.${process.pid}`;
  const note: Note = { pid: process.pid, startedAt: startTime(process.pid) ?? '', instance: 'agent' };
  writeFileSync(own, JSON.stringify(note), { mode: 0o600 });
  try {
    for (;;) {
      const other = holderOf(folder);
      if (other !== null) return other;
      if (linked(own, file)) return null;
      takeAway(file);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

export function releaseFolder(folder: string): void {
  if (holderOf(folder) === process.pid) rmSync(join(folder, 'agent.lock'), { force: true });
}

/** Whether the file got this second name: no two can give it. */
function linked(file: string, name: string): boolean {
  try {
    linkSync(file, name);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** The lock of an agent that crashed. Another one may have done so and taken the folder since: then its lock is put back. */
function takeAway(file: string): void {
  const aside = `${file}.${process.pid}.old`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  if (isHeld(readNote(aside))) linked(aside, file);
  rmSync(aside, { force: true });
}

/** Sends a signal to the process group; false if there is none. */
export function killGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

function isOurs(note: Note): boolean {
  if (startTime(note.pid) !== note.startedAt) return false;
  try {
    return readFileSync(`/proc/${note.pid}/environ`, 'utf8').split('\0').includes(`${MARK}=${note.instance}`);
  } catch {
    return false;
  }
}

/** Clock ticks since boot when the process started (field 22 of its stat), or null where there is no such process. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces and parentheses; fields are counted from behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function readNote(file: string): Note | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('startedAt' in value) || !('instance' in value)) return null;
    const { pid, startedAt, instance } = value;
    if (!Number.isSafeInteger(pid) || typeof pid !== 'number' || pid < 2) return null;
    return typeof startedAt === 'string' && typeof instance === 'string' ? { pid, startedAt, instance } : null;
  } catch {
    return null;
  }
}
