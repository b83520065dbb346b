/** The wire between edge and agent: the only code both sides compile. Read `hello`, `up`, `down`, then `frames`. */
export * from './version.ts';
export * from './limits.ts';
export * from './close.ts';
export * from './hello.ts';
export * from './up.ts';
export * from './down.ts';
export * from './frames.ts';
export * from './payloads.ts';
export * from './chute.ts';
export * from './cords.ts';
export * from './image.ts';
export * from './why.ts';
export * from './wave.ts';
export * from './secrets.ts';
export * from './challenge/index.ts';
