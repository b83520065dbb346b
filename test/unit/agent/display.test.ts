import { describe, expect, it, vi } from 'vitest';
import { jsonDisplay, plainDisplay, tableDisplay } from '../../../miner-agent/display.ts';
import type { AgentEvent } from '../../../miner-agent/display.ts';

const live: AgentEvent = { event: 'instance', id: 'ins_1', name: 'demo/chat', state: 'live', detail: '4 slots', slots: 4, since: 0 };
const served: AgentEvent = { event: 'served', instance: 'ins_1', outcome: 'completed', bytes: 10, tokensOut: 7 };

describe('display', () => {
  it('tells each piece of news once, in printable text', () => {
    let text = '';
    const d = plainDisplay(
      (t) => (text += t),
      () => 0,
    );
    d.tell(live);
    d.tell(live);
    d.tell(served);
    d.tell({ event: 'market', detail: '\u001b[2Jgone\n' });
    expect(text).toBe('00:00:00 demo/chat ins_1: live 4 slots\n00:00:00 market:  [2Jgone \n');
  });

  it('writes one JSON object a line', () => {
    let text = '';
    jsonDisplay(
      (t) => (text += t),
      () => 5,
    ).tell(served);
    expect(JSON.parse(text)).toEqual({ at: 5, ...served });
  });

  it('draws a table over itself, no wider than the terminal', () => {
    vi.useFakeTimers();
    try {
      const drawn: string[] = [];
      const d = tableDisplay(
        (t) => drawn.push(t),
        () => 72,
        () => 0,
      );
      d.tell({ event: 'start', hotkey: '5Abc', name: 'rig', api: 'http://edge' });
      d.tell(live);
      d.tell(served);
      d.tell(served);
      vi.advanceTimersByTime(1000);
      expect(drawn).toHaveLength(1);
      expect(drawn[0]).toMatch(/demo\/chat +ins_1 +live +4 +2/);
      expect(Math.max(...(drawn[0] ?? '').split('\n').map((l) => l.length))).toBeLessThanOrEqual(75);
      d.tell({ ...live, state: 'stopped', detail: 'agent_ends' });
      d.close();
      expect(drawn[1]?.startsWith('\x1b[')).toBe(true);
      expect(drawn[1]).toContain('no instances yet');
    } finally {
      vi.useRealTimers();
    }
  });
});
