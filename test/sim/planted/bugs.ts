/** Defects planted into copies of the production code, one at a time. Each must be found by the simulator; `find` is in its file once. */
export interface PlantedBug {
  name: string;
  file: string;
  find: string;
  replace: string;
  /** First seed to try; 1 where nothing is said. Rare bugs show only far from there. */
  from?: number;
}

export const BUGS: PlantedBug[] = [
  {
    name: 'the acknowledgement of a settlement is lost',
    file: 'functions/miner/outbox.ts',
    find: 'if (!this.entries.delete(key)) continue;',
    replace: 'if (this.entries.has(key)) continue;',
  },
  {
    name: 'a slot is not freed',
    file: 'functions/miner/slots.ts',
    find: '!it.running.delete(attempt)',
    replace: '!it.running.has(attempt)',
  },
  {
    name: 'a kept slot is never given up',
    file: 'functions/miner/slots.ts',
    find: 'it.kept.set(call, now + KEEP_MS);\n    return true;\n  }\n\n  /** The call that',
    replace: 'it.kept.set(call, Infinity);\n    return true;\n  }\n\n  /** The call that',
  },
  {
    name: 'another instance is tried after the first byte',
    file: 'functions/calls/replies.ts',
    find: 'if (offset > 0) return new RipcordError',
    replace: 'if (offset > 1e9) return new RipcordError',
  },
  {
    name: 'what is not safe to repeat is repeated',
    file: 'functions/calls/attempts.ts',
    find: 'this.unsafe = answer.handed && !this.safe',
    replace: 'this.unsafe = false && answer.handed && !this.safe',
  },
  {
    name: 'an acknowledged call is flushed again',
    file: 'functions/account/outbox.ts',
    find: 'const gone = this.#waiting.splice(0, count);',
    replace: 'const gone = this.#waiting.slice(0, count);',
  },
  {
    name: 'an attempt is captured twice',
    file: 'functions/account/calls.ts',
    find: ' || row.attempts.some((a) => a.settlement.attempt === settlement.attempt)',
    replace: '',
  },
  {
    name: 'a closed call keeps its hold',
    file: 'functions/account/calls.ts',
    find: 'this.#open.delete(row);',
    replace: '',
  },
  {
    name: 'a wake-up is lost: the call that gets the slot is not told',
    file: 'functions/chute/wake.ts',
    find: "turn.effects.push({ do: 'resolve', call, answer });",
    replace: '',
  },
  {
    name: 'a wake-up is lost: freed slots are not offered to those who wait',
    file: 'functions/chute/wake.ts',
    find: 'if (link.on && !link.again',
    replace: 'if (!link.again',
  },
  {
    name: 'a late dispatch is taken after never',
    file: 'functions/miner/attempts.ts',
    find: 'this.tombstones.has(ask.call) || ',
    replace: '',
  },
  {
    name: 'an attempt is dispatched before it is written',
    file: 'functions/miner/attempts.ts',
    find: '    turn.put(attempt.row);\n',
    replace: '',
  },
  {
    name: 'a resumed reply starts ahead of the client',
    file: 'functions/miner/attempts.ts',
    find: 'checkpoint.client <= offset',
    replace: 'checkpoint.client >= 0',
  },
  {
    name: 'a resumed reply repeats what the client has',
    file: 'functions/miner/attempt.ts',
    find: 'this.skip = client - (from?.client ?? 0);',
    replace: 'this.skip = 0;',
  },
  {
    name: 'bytes that were never handed on are paid for',
    file: 'functions/miner/attempt.ts',
    find: 'const meter = this.counted ??',
    replace: 'const meter = this.filter?.checkpoint().meter ??',
  },
  {
    name: 'an agent sends a resumed reply from where it was',
    file: 'miner-agent/connection/call-stream.ts',
    find: '    this.sent = offset;',
    replace: '    this.sent = Math.max(this.sent, offset);',
  },
  {
    name: 'nobody tells a Chute that an agent is gone',
    file: 'functions/miner/core.ts',
    find: 'if (this.instances.slots.all().length > 0) this.lostAt = now;',
    replace: '',
  },
  {
    name: 'a flush that comes twice counts twice',
    file: 'test/sim/bank.ts',
    find: 'records.filter((record) => !this.calls.has(record.callId))',
    replace: 'records.filter((record) => record !== null)',
  },
  {
    name: 'a lease that was taken back still pays',
    file: 'test/sim/bank.ts',
    find: "if (lease.state === 'closed') throw new Refused('fenced'",
    replace: "if (lease.state === null) throw new Refused('fenced'",
  },
  {
    name: 'an Account goes on with a lease that it lost',
    file: 'functions/account/lease.ts',
    find: "if (answer.kind === 'stale') {",
    replace: 'if (answer.kind === null) {',
  },
  {
    name: 'a capture is larger than its hold',
    file: 'functions/account/calls.ts',
    find: 'least(priceOf(row, settlement), row.hold - costOf(row))',
    replace: 'least(priceOf(row, settlement), row.hold * 1000n)',
  },
  {
    name: 'a lease is released by the clock while calls are open',
    file: 'functions/account/lease.ts',
    find: 'if (lease.held > 0n || this.free === 0n ||',
    replace: 'if (this.free === 0n ||',
  },
  {
    name: 'the first settlement closes the call, whatever it says',
    file: 'functions/account/calls.ts',
    find: 'if (needed === undefined) return false;',
    replace: 'if (needed === undefined) return taken.length > 0;',
  },
  {
    name: 'a draw of unknown outcome is made again as another',
    file: 'functions/account/lease.ts',
    find: '    this.#backOffMs = Math.min(Math.max(this.#limits.moveBackOffMs',
    replace:
      '    if (this.#now !== null) this.#now.row = { ...row, n: row.n + 1, moving: null };\n    this.#backOffMs = Math.min(Math.max(this.#limits.moveBackOffMs',
  },
  {
    name: 'an Account forgets what it holds when it is put out of memory',
    file: 'functions/account/lease.ts',
    find: '      lease.held += row.hold;\n      lease.open++;',
    replace: '      lease.open++;',
  },
  {
    name: 'a cap does not see what is held',
    file: 'functions/account/caps.ts',
    find: 'cap.limit - spent - held',
    replace: 'cap.limit - spent',
  },
  {
    name: 'a call is charged by the price of the moment it is settled',
    file: 'functions/account/calls.ts',
    find: 'least(priceOf(row, settlement)',
    replace: 'least(priceOf({ ...row, terms: [...this.#calls.values()].at(-1)?.terms ?? row.terms }, settlement)',
  },
  {
    name: 'an extension is held twice',
    file: 'functions/account/calls.ts',
    find: 'const more = hold.amount - row.hold;',
    replace: 'const more = hold.amount;',
  },
  {
    name: 'credit on its way back is held from',
    file: 'functions/account/lease.ts',
    find: 'return moving !== null && moving.want < 0n ? moving',
    replace: 'return moving !== null && moving.want === 1n ? moving',
  },
  {
    name: 'a lease pays from a purse that is empty',
    file: 'functions/account/lease.ts',
    find: 'row.promo = cost < promo ? cost : promo;',
    replace: 'row.promo = cost;',
  },
  {
    name: 'a call is refused for want of credit before Postgres says so',
    file: 'functions/account/lease.ts',
    find: 'if (fresh && this.free + left.cash',
    replace: 'if (left !== null && this.free + left.cash',
  },
  {
    name: 'a reply goes on after its credit ended',
    file: 'functions/miner/allowance.ts',
    find: 'return this.refused ? this.paid : null;',
    replace: 'return null;',
  },
  {
    name: 'what came too late is charged',
    file: 'functions/account/calls.ts',
    find: 'const refused = row.closedAt !== null ||',
    replace: 'const refused = ',
    from: 2_000,
  },
  {
    name: 'a call that its conductor closes is not flushed before something else is',
    file: 'functions/account/core.ts',
    find: 'this.#calls.close(call, attempts, code, now, effects);\n      this.#arm(this.#outbox.due(), effects);',
    replace: 'this.#calls.close(call, attempts, code, now, effects);',
  },
  {
    name: 'rent is paid on after the instance stopped',
    file: 'functions/chute/rent-call.ts',
    find: 'lastByteMs: (rent.end ?? start) - start,',
    replace: 'lastByteMs: rent.ms,',
  },
  {
    name: 'a bounty is paid for a start, whether or not the instance stays',
    file: 'functions/chute/bounty.ts',
    find: 'instance.liveSince + bounds.earlyFailureMs > now) return null;',
    replace: 'instance.liveSince > now) return null;',
  },
  {
    name: 'what was held for a bounty stays held when the start came to nothing',
    file: 'functions/chute/bounty.ts',
    find: "instance.state === 'draining') return rent.start;",
    replace: "instance.state === 'draining') return null;",
  },
];
