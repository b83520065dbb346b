/** The bearer of an upload: of one challenge, one agent and some seconds. */
import { expect, test } from 'vitest';
import { openingTokens } from '../../../functions/gate/opening-token.ts';

const tokens = openingTokens('ab'.repeat(32));
const token = tokens.make('chl_1', 'agt_1', 1_000);

test('it names the agent for its challenge until its time is over', () => {
  expect(tokens.agentOf(token, 'chl_1', 999)).toBe('agt_1');
  expect(tokens.agentOf(token, 'chl_1', 1_000)).toBeNull();
});

test.each<[string, string, string]>([
  ['of another challenge', token, 'chl_2'],
  ['for another agent', token.replace('agt_1', 'agt_2'), 'chl_1'],
  ['with more time', token.replace('.1000.', '.9000.'), 'chl_1'],
  ['of another edge', openingTokens('cd'.repeat(32)).make('chl_1', 'agt_1', 1_000), 'chl_1'],
  ['cut short', token.slice(0, -1), 'chl_1'],
  ['empty', '', 'chl_1'],
])('one %s is none', (_, given, id) => {
  expect(tokens.agentOf(given, id, 0)).toBeNull();
});
