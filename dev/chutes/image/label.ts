/** POST /label: regions that differ from the background, named by colour and shape. The README says how. */
import { colourName, distance, type Rgb } from './colours.ts';
import type { Picture } from './picture.ts';
import { type Region, regionsOf } from './regions.ts';
import { shrink } from './shrink.ts';

export const METHOD = 'Otsu threshold on the colour distance from the median border colour, 8-connected regions, nearest basic colour';

const SIDE = 256;
const MAX_LABELS = 32;
/** Share of the picture below which a region is taken for noise. */
const LEAST_AREA = 0.001;
/** Colour distance (0 to 441) that is never called a difference, however plain the picture. */
const LEAST_DISTANCE = 24;

export type Label = {
  label: string;
  color: string;
  shape: string;
  box: [x: number, y: number, width: number, height: number];
  area: number;
};

export function labelsOf(picture: Picture): Label[] {
  const small = shrink(picture, SIDE);
  const background = borderColour(small);
  const pixels = small.width * small.height;
  const distances = Float32Array.from({ length: pixels }, (_, at) => distance(colourAt(small, at), background));
  const threshold = Math.max(LEAST_DISTANCE, otsu(distances));
  return regionsOf(
    distances.map((far) => (far > threshold ? 1 : 0)),
    small.width,
  )
    .filter(({ pixels: members }) => members.length >= Math.max(4, LEAST_AREA * pixels))
    .sort((a, b) => b.pixels.length - a.pixels.length)
    .slice(0, MAX_LABELS)
    .map((region) => describe(region, small, picture));
}

function describe(region: Region, small: Picture, picture: Picture): Label {
  const color = colourName(medianColour(region.pixels.map((at) => colourAt(small, at))));
  const wide = region.right - region.left + 1;
  const high = region.bottom - region.top + 1;
  const shape = shapeOf(region.pixels.length / (wide * high));
  const [byX, byY] = [picture.width / small.width, picture.height / small.height];
  return {
    label: `${color} ${shape}`,
    color,
    shape,
    box: [Math.round(region.left * byX), Math.round(region.top * byY), Math.round(wide * byX), Math.round(high * byY)],
    area: Number((region.pixels.length / (small.width * small.height)).toFixed(4)),
  };
}

/** By the share of its box that a region fills: a rectangle all, an ellipse π/4, a triangle half. */
function shapeOf(fill: number): string {
  if (fill > 0.93) return 'rectangle';
  if (fill > 0.7) return 'ellipse';
  return fill > 0.42 && fill < 0.58 ? 'triangle' : 'shape';
}

function colourAt({ data }: Picture, at: number): Rgb {
  return [data[at * 4] ?? 0, data[at * 4 + 1] ?? 0, data[at * 4 + 2] ?? 0];
}

function borderColour(picture: Picture): Rgb {
  const { width, height } = picture;
  const border: Rgb[] = [];
  for (let x = 0; x < width; x++) border.push(colourAt(picture, x), colourAt(picture, (height - 1) * width + x));
  for (let y = 0; y < height; y++) border.push(colourAt(picture, y * width), colourAt(picture, y * width + width - 1));
  return medianColour(border);
}

function medianColour(colours: readonly Rgb[]): Rgb {
  const median = (part: 0 | 1 | 2): number => colours.map((colour) => colour[part]).sort((a, b) => a - b)[colours.length >> 1] ?? 0;
  return [median(0), median(1), median(2)];
}

/** The value that splits the numbers into the two groups with the least spread inside each (Otsu). */
function otsu(values: Float32Array): number {
  const bins = new Float64Array(442);
  for (const value of values) bins[Math.min(441, Math.floor(value))]! += 1;
  const total = bins.reduce((sum, count, at) => sum + count * at, 0);
  let [below, sumBelow, best, threshold] = [0, 0, 0, 0];
  for (let at = 0; at < bins.length; at++) {
    below += bins[at] ?? 0;
    sumBelow += (bins[at] ?? 0) * at;
    const above = values.length - below;
    if (below === 0 || above === 0) continue;
    const between = below * above * (sumBelow / below - (total - sumBelow) / above) ** 2;
    if (between > best) [best, threshold] = [between, at + 1];
  }
  return threshold;
}
