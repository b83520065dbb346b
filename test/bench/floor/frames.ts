/** Frames of the floor: type (u8), three bytes unused, stream (u32), length (u32), payload; many per message. */
export const FRAME = { OPEN: 1, HEAD: 2, DATA: 3, END: 4, RESET: 5 } as const;

export interface Frame {
  type: number;
  stream: number;
  payload: Uint8Array;
}

const HEADER = 12;

export function encode(frames: readonly Frame[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(frames.reduce((sum, f) => sum + HEADER + f.payload.byteLength, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const f of frames) {
    view.setUint8(at, f.type);
    view.setUint32(at + 4, f.stream);
    view.setUint32(at + 8, f.payload.byteLength);
    out.set(f.payload, at + HEADER);
    at += HEADER + f.payload.byteLength;
  }
  return out;
}

export function decode(message: Uint8Array): Frame[] {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const frames: Frame[] = [];
  for (let at = 0; at + HEADER <= message.byteLength;) {
    const length = view.getUint32(at + 8);
    frames.push({
      type: view.getUint8(at),
      stream: view.getUint32(at + 4),
      payload: message.subarray(at + HEADER, at + HEADER + length),
    });
    at += HEADER + length;
  }
  return frames;
}
