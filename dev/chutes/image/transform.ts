/** The operations of POST /transform. Each makes a new picture. */
import { blank, brightness, type Picture, RefusedError } from './picture.ts';
import { shrink } from './shrink.ts';

const OPERATIONS: Record<string, (picture: Picture, query: URLSearchParams) => Picture> = {
  grayscale,
  edges,
  rotate: (picture, query) => rotate(picture, oneOf(query, 'angle', [90, 180, 270], 90)),
  thumbnail: (picture, query) => shrink(picture, integerOf(query, 'size', 8, 1024, 128)),
  flip,
  invert,
};

export function transform(picture: Picture, query: URLSearchParams): Picture {
  const name = query.get('op') ?? '';
  const operation = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  if (operation === undefined) throw wrong('op', `one of ${Object.keys(OPERATIONS).join(', ')}`);
  return operation(picture, query);
}

function grayscale({ width, height, data }: Picture): Picture {
  const gray = blank(width, height);
  for (let at = 0; at < data.length; at += 4) paint(gray, at, brightness(data, at), data[at + 3] ?? 255);
  return gray;
}

/** How steeply the brightness changes at each pixel (Sobel); the outermost pixels stay black. */
function edges({ width, height, data }: Picture): Picture {
  const light = new Float32Array(width * height).map((_, at) => brightness(data, at * 4));
  const steep = blank(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const inside = x > 0 && y > 0 && x < width - 1 && y < height - 1;
      paint(steep, at * 4, inside ? slope(light, at, width) : 0, 255);
    }
  }
  return steep;
}

function slope(light: Float32Array, at: number, width: number): number {
  const value = (offset: number): number => light[at + offset] ?? 0;
  const right = value(1 - width) + 2 * value(1) + value(1 + width);
  const left = value(-1 - width) + 2 * value(-1) + value(-1 + width);
  const below = value(width - 1) + 2 * value(width) + value(width + 1);
  const above = value(-width - 1) + 2 * value(-width) + value(-width + 1);
  return Math.min(255, Math.hypot(right - left, below - above));
}

/** Clockwise. */
function rotate(picture: Picture, angle: number): Picture {
  const { width, height } = picture;
  if (angle === 180) return move(picture, width, height, (x, y) => [width - 1 - x, height - 1 - y]);
  if (angle === 90) return move(picture, height, width, (x, y) => [y, height - 1 - x]);
  return move(picture, height, width, (x, y) => [width - 1 - y, x]);
}

function flip(picture: Picture): Picture {
  return move(picture, picture.width, picture.height, (x, y) => [picture.width - 1 - x, y]);
}

/** A picture of the given size, each pixel taken from where `from` says. */
function move(picture: Picture, width: number, height: number, from: (x: number, y: number) => [number, number]): Picture {
  const moved = blank(width, height);
  const source = new Uint32Array(picture.data.slice().buffer);
  const target = new Uint32Array(moved.data.buffer);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [fromX, fromY] = from(x, y);
      target[y * width + x] = source[fromY * picture.width + fromX] ?? 0;
    }
  }
  return moved;
}

function invert({ width, height, data }: Picture): Picture {
  return { width, height, data: data.map((value, at) => (at % 4 === 3 ? value : 255 - value)) };
}

function paint(picture: Picture, at: number, light: number, opacity: number): void {
  picture.data.fill(Math.round(light), at, at + 3);
  picture.data[at + 3] = opacity;
}

function integerOf(query: URLSearchParams, name: string, least: number, most: number, otherwise: number): number {
  const value = Number(query.get(name) ?? otherwise);
  if (!Number.isInteger(value) || value < least || value > most) throw wrong(name, `an integer from ${least} to ${most}`);
  return value;
}

function oneOf(query: URLSearchParams, name: string, values: readonly number[], otherwise: number): number {
  const value = Number(query.get(name) ?? otherwise);
  if (!values.includes(value)) throw wrong(name, `one of ${values.join(', ')}`);
  return value;
}

function wrong(name: string, expected: string): RefusedError {
  return new RefusedError(400, 'invalid_parameter', `Invalid '${name}': expected ${expected}.`);
}
