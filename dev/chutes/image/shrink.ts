import { blank, type Picture } from './picture.ts';

/** The picture with its longest side at most `side`: each pixel is the mean of those it stands for. Never enlarges. */
export function shrink(picture: Picture, side: number): Picture {
  const factor = Math.max(1, Math.max(picture.width, picture.height) / side);
  const width = Math.max(1, Math.round(picture.width / factor));
  const height = Math.max(1, Math.round(picture.height / factor));
  const small = blank(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const columns = span(x, width, picture.width);
      const rows = span(y, height, picture.height);
      small.data.set(mean(picture, columns, rows), (y * width + x) * 4);
    }
  }
  return small;
}

type Span = { from: number; to: number };

function span(at: number, few: number, many: number): Span {
  const from = Math.floor((at * many) / few);
  return { from, to: Math.max(from + 1, Math.floor(((at + 1) * many) / few)) };
}

function mean({ width, data }: Picture, columns: Span, rows: Span): number[] {
  const sums = [0, 0, 0, 0];
  for (let y = rows.from; y < rows.to; y++) {
    for (let x = columns.from; x < columns.to; x++) {
      for (let part = 0; part < 4; part++) sums[part] = (sums[part] ?? 0) + (data[(y * width + x) * 4 + part] ?? 0);
    }
  }
  const count = (columns.to - columns.from) * (rows.to - rows.from);
  return sums.map((sum) => Math.round(sum / count));
}
