/** Why a start cannot go on: one line for the person, one exit code for the shell. */
export const EXIT = { ok: 0, failed: 1, usage: 2, portTaken: 4, folder: 5 } as const;

export class StartFailure extends Error {
  override readonly name = 'StartFailure';
  readonly exitCode: number;
  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The line to print for anything that was thrown. */
export function lineOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
