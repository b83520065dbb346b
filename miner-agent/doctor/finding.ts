/** What a check comes to. */
import { WHY, type WhyCode } from '#protocol';

export type CheckStatus = 'PASS' | 'WARN' | 'FAIL' | 'SKIP';

export interface Finding {
  status: CheckStatus;
  /** One line; where a word of `protocol/why.ts` is the cause it begins with it. */
  cause: string;
  /** What to do next, as commands where there are some; empty: nothing. */
  fix: string;
}

export interface Check extends Finding {
  id: string;
}

export const pass = (cause: string): Finding => ({ status: 'PASS', cause, fix: '' });
export const skip = (cause: string, fix = ''): Finding => ({ status: 'SKIP', cause, fix });
export const fail = (cause: string, fix: string): Finding => ({ status: 'FAIL', cause, fix });
export const warn = (cause: string, fix: string): Finding => ({ status: 'WARN', cause, fix });

/** With the code's own advice, unless there is better. */
export function because(status: 'WARN' | 'FAIL', code: WhyCode, text = WHY[code].text, fix = WHY[code].next): Finding {
  return { status, cause: `${code}: ${text}`, fix };
}
