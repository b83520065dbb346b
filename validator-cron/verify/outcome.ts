/** How a verification ends: exit codes that scripts may rely on, and the errors that lead to them. */

export const EXIT = { identical: 0, different: 1, usage: 2, missing: 3, failed: 70, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Where two computations part first. */
export interface Difference {
  at: string;
  /** What follows from the evidence, and what was published. */
  due: string;
  given: string;
}

/** The published numbers do not follow from the evidence. */
export class Different extends Error {
  override readonly name = 'Different';
  readonly difference: Difference;
  constructor(difference: Difference) {
    super(`different at ${difference.at}`);
    this.difference = difference;
  }
}

/** Something that is needed was not published, or cannot be had. */
export class Missing extends Error {
  override readonly name = 'Missing';
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}
