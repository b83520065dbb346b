export type Rgb = readonly [red: number, green: number, blue: number];

/** The eleven basic colour words, each with the shades that it covers. */
const BASIC: Record<string, readonly Rgb[]> = {
  black: [[20, 20, 20]],
  white: [[245, 245, 245]],
  gray: [
    [128, 128, 128],
    [80, 80, 80],
    [180, 180, 180],
  ],
  red: [
    [220, 30, 30],
    [150, 20, 20],
  ],
  green: [
    [40, 180, 60],
    [20, 100, 40],
    [130, 220, 120],
  ],
  blue: [
    [30, 60, 220],
    [20, 30, 120],
    [90, 160, 240],
  ],
  yellow: [[245, 225, 40]],
  orange: [[245, 140, 20]],
  purple: [
    [130, 40, 170],
    [180, 110, 220],
  ],
  pink: [[250, 130, 180]],
  brown: [[120, 70, 30]],
};

/** Straight-line distance in RGB, 0 to 441. */
export function distance(a: Rgb, b: Rgb): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

export function colourName(colour: Rgb): string {
  let [best, least] = ['gray', Infinity];
  for (const [name, shades] of Object.entries(BASIC)) {
    for (const shade of shades) {
      const far = distance(colour, shade);
      if (far < least) [best, least] = [name, far];
    }
  }
  return best;
}
