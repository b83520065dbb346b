/** What the kernel says about processes: CPU time, memory, descriptors; and about the machine. Linux only. */
import { closeSync, fdatasyncSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { median } from './stats.ts';

/** Clock ticks per second in /proc; fixed by the kernel's ABI on every platform we run on. */
const TICKS = 100;

/** User and system time of a process so far, in microseconds, in steps of 10 ms. 0 if it is gone. */
export function cpuMicros(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return 0;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS;
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`) ?? '');
  return Number(match?.[1] ?? 0) * 1024;
}

export function descriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** Shares of the machine's CPU time since the last look: how busy, and how much the hypervisor took away. */
export function machineShare(): () => { busy: number; steal: number } {
  let last = jiffies();
  return () => {
    const now = jiffies();
    const total = Math.max(1, now.total - last.total);
    const share = {
      busy: 1 - (now.idle - last.idle) / total,
      steal: (now.steal - last.steal) / total,
    };
    last = now;
    return share;
  };
}

export function machine(): { cpu: string; cores: number; load: number; memoryMb: number } {
  const total = /MemTotal:\s+(\d+) kB/.exec(read('/proc/meminfo') ?? '');
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    load: loadavg()[0] ?? 0,
    memoryMb: Math.round(Number(total?.[1] ?? 0) / 1024),
  };
}

/** Milliseconds until a small write in this folder is on disk, median of 50. */
export function flushMs(folder: string): number {
  const file = join(folder, `ripcord-flush-${process.pid}`);
  const fd = openSync(file, 'wx', 0o600);
  try {
    const waits = Array.from({ length: 50 }, () => {
      const begin = performance.now();
      writeSync(fd, Buffer.alloc(4096, 1));
      fdatasyncSync(fd);
      return performance.now() - begin;
    });
    return median(waits);
  } finally {
    closeSync(fd);
    rmSync(file, { force: true });
  }
}

function jiffies(): { total: number; idle: number; steal: number } {
  const line = (read('/proc/stat') ?? '').split('\n', 1)[0] ?? '';
  const n = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { total: n.reduce((a, b) => a + b, 0), idle: (n[3] ?? 0) + (n[4] ?? 0), steal: n[7] ?? 0 };
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
