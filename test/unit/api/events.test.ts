import { DrizzleQueryError } from 'drizzle-orm/errors';
import { expect, test } from 'vitest';
import { whyOf } from '../../../functions/events.ts';

test('why something failed: the statement and its SQLSTATE, none of its values', () => {
  const cause = Object.assign(new Error('invalid input: "my text"'), { code: '22P02' });
  const failed = new DrizzleQueryError('select $1', ['my text'], cause);
  expect(whyOf(failed, 300)).toMatch(/^22P02 .*select \$1$/);
  expect(whyOf(new TypeError('no'), 300)).toBe('TypeError: no');
  expect(whyOf(new TypeError('x'.repeat(500)), 300)).toHaveLength(300);
  expect(whyOf('thrown', 300)).toBe('unknown');
});
