/** A decoded picture: four bytes a pixel, red, green, blue and opacity, row by row. */
export type Picture = { width: number; height: number; data: Uint8Array };
export type Format = 'png' | 'jpeg';

export const LIMITS = {
  /** Bytes of a body. */
  bytes: 8 * 1024 * 1024,
  /** Pixels of a picture; decoded, each takes four bytes. */
  pixels: 8_000_000,
  /** Scans of a JPEG; each one makes the decoder walk the whole picture. */
  scans: 64,
  /** Pictures worked on at a time. */
  workers: 4,
  /** Milliseconds for one picture. */
  workMs: 20_000,
} as const;

/** What the client did wrong, as it is answered. */
export type Refusal = { status: number; code: string; message: string };

export class RefusedError extends Error {
  readonly refusal: Refusal;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.refusal = { status, code, message };
  }
}

export function blank(width: number, height: number): Picture {
  return { width, height, data: new Uint8Array(width * height * 4) };
}

/** How bright a pixel looks, 0 to 255 (Rec. 601). `at` is the place of its red byte. */
export function brightness(data: Uint8Array, at: number): number {
  return 0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0);
}
