/** How a command ends other than well: one class, and the exit codes that scripts may rely on. */

export const EXIT = { done: 0, refused: 1, usage: 2, unreachable: 3, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface FailureDetail {
  /** What to do next. */
  hint?: string;
  /** More about it for `--json`; never a secret. */
  extra?: Record<string, unknown>;
}

/** A failure with a stable code, a cause in one line and, where there is one, the next step. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exit: ExitCode;
  readonly code: string;
  readonly detail: FailureDetail;
  constructor(exit: ExitCode, code: string, message: string, detail: FailureDetail = {}) {
    super(message);
    this.exit = exit;
    this.code = code;
    this.detail = detail;
  }
}

/** The command line or a file it names is wrong. */
export function usage(code: string, message: string, detail: FailureDetail = {}): Failure {
  return new Failure(EXIT.usage, code, message, detail);
}

export function interrupted(): Failure {
  return new Failure(EXIT.interrupted, 'interrupted', 'Interrupted.');
}

/** What `--json` prints on stderr. */
export function failureJson(failure: Failure): string {
  return JSON.stringify({
    error: { code: failure.code, message: failure.message, hint: failure.detail.hint ?? null, ...failure.detail.extra },
  });
}
