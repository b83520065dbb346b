export type Region = { pixels: number[]; left: number; right: number; top: number; bottom: number };

/** Groups of marked pixels (1 in `mask`, row by row) that touch each other, corners included. */
export function regionsOf(mask: ArrayLike<number>, width: number): Region[] {
  const open = Uint8Array.from(mask);
  const regions: Region[] = [];
  for (let at = 0; at < open.length; at++) if (open[at] === 1) regions.push(flood(open, at, width));
  return regions;
}

/** The region around `start`; its pixels are taken out of `open`. */
function flood(open: Uint8Array, start: number, width: number): Region {
  const pixels = [start];
  const [x, y] = [start % width, Math.floor(start / width)];
  const region = { pixels, left: x, right: x, top: y, bottom: y };
  open[start] = 0;
  // The list is its own queue: it grows while it is walked.
  for (const at of pixels) {
    const [column, row] = [at % width, Math.floor(at / width)];
    region.left = Math.min(region.left, column);
    region.right = Math.max(region.right, column);
    region.bottom = Math.max(region.bottom, row);
    for (const next of neighbours(column, row, width)) {
      if (open[next] !== 1) continue;
      open[next] = 0;
      pixels.push(next);
    }
  }
  return region;
}

function neighbours(column: number, row: number, width: number): number[] {
  const found: number[] = [];
  for (let y = Math.max(0, row - 1); y <= row + 1; y++) {
    for (let x = Math.max(0, column - 1); x <= Math.min(width - 1, column + 1); x++) found.push(y * width + x);
  }
  return found;
}
