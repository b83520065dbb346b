/** How `books` ends other than well. Scripts may rely on the exit codes. */
export const EXIT = { ok: 0, refused: 1, usage: 2, unreachable: 3 } as const;

export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exit: number;

  constructor(exit: number, message: string) {
    super(message);
    this.exit = exit;
  }
}

/** The command line is wrong. */
export function usage(message: string): Failure {
  return new Failure(EXIT.usage, message);
}

/** The books do not have it, or do not take it. */
export function refused(message: string): Failure {
  return new Failure(EXIT.refused, message);
}

export function unreachable(message: string): Failure {
  return new Failure(EXIT.unreachable, message);
}
