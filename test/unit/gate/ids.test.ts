import { describe, expect, test } from 'vitest';
import { accountIdOf, agentIdOf, checkId, chuteIdOf, makeId, slugOf, type IdKind } from '../../../functions/gate/ids.ts';

const env = { EDGE_SECRET: '11'.repeat(32) };
const other = { EDGE_SECRET: '22'.repeat(32) };
const KINDS: IdKind[] = ['acc', 'key', 'cht', 'agt', 'ins'];

describe('ids', () => {
  test.each(KINDS)('%s: made here, and only here', async (kind) => {
    const id = await makeId(kind, env);
    expect(id).toMatch(new RegExp(`^${kind}_[0-9a-z]{24}$`));
    expect(await checkId(kind, id, env)).toBe(true);
    expect(await checkId(kind, id, other)).toBe(false);
    expect(await makeId(kind, env)).not.toBe(id);
  });

  test('an id is of one kind', async () => {
    const id = await makeId('cht', env);
    expect(await checkId('agt', id, env)).toBe(false);
    expect(await checkId('agt', id.replace('cht', 'agt'), env)).toBe(false);
  });

  test.each([
    ['cut', (id: string) => id.slice(0, -1)],
    ['longer', (id: string) => `${id}0`],
    ['upper case', (id: string) => id.toUpperCase()],
    ['one character of the body changed', (id: string) => flip(id, 6)],
    ['one character of the MAC changed', (id: string) => flip(id, 27)],
    ['empty', () => ''],
    ['a path', () => 'cht_../../../../../../../..'],
  ])('%s is refused', async (_, damage) => {
    expect(await checkId('cht', damage(await makeId('cht', env)), env)).toBe(false);
  });

  test('derived ids are the same for ever and differ by what they are derived from', async () => {
    const account = await accountIdOf('5Gr', env);
    expect(account).toBe(await accountIdOf('5Gr', env));
    expect(account).not.toBe(await accountIdOf('5Gs', env));
    expect(account).not.toBe(await accountIdOf('5Gr', other));
    expect(await checkId('acc', account, env)).toBe(true);
    expect(await checkId('agt', await agentIdOf('5Gr', 'box-1', env), env)).toBe(true);
    expect(await checkId('cht', await chuteIdOf('demo-chat', env), env)).toBe(true);
    expect(await agentIdOf('a', 'b-c', env)).not.toBe(await agentIdOf('a-b', 'c', env));
  });

  test('a slug names one chute: handles have no hyphen', () => {
    expect(slugOf('demo', 'chat-small')).toBe('demo-chat-small');
  });
});

function flip(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1);
}
