/** Writes tar archives that no honest tool would write. */
export interface TarEntry {
  name: string;
  body?: string | Uint8Array;
  /** `0` file, `1` hard link, `2` symbolic link, `3` device, `5` folder, `6` pipe. */
  type?: string;
  link?: string;
  prefix?: string;
  /** A GNU long name that replaces the name. */
  longName?: string;
}

export function packTar(entries: TarEntry[]): Buffer {
  const parts = entries.flatMap((e) => [
    ...(e.longName === undefined ? [] : [entry({ name: '././@LongLink', type: 'L', body: `${e.longName}\0` })]),
    entry(e),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function entry(e: TarEntry): Buffer {
  const body = Buffer.from(e.body ?? '');
  const header = Buffer.alloc(512);
  header.write(e.name.slice(0, 100), 0);
  header.write('0000755\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${body.byteLength.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(e.type ?? '0', 156);
  header.write((e.link ?? '').slice(0, 100), 157);
  header.write('ustar\x0000', 257);
  header.write((e.prefix ?? '').slice(0, 155), 345);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.byteLength % 512)) % 512)]);
}
