/** Defects planted into copies of the production code, one at a time. Each must be found by the simulator; `find` is in its file once. */
export interface PlantedBug {
  name: string;
  file: string;
  find: string;
  replace: string;
}

export const BUGS: PlantedBug[] = [
  {
    name: 'the acknowledgement of a settlement is lost',
    file: 'functions/miner/outbox.ts',
    find: 'keys.filter((key) => this.entries.delete(key))',
    replace: 'keys.filter((key) => !this.entries.has(key))',
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
    name: 'a usage row is flushed twice',
    file: 'functions/account/outbox.ts',
    find: 'this.#waiting.splice(0, count);',
    replace: 'this.#waiting.splice(0, count - 1);',
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
];
