/** Challenges, from the beacon to the verdict: what edge, agent, judges and outsiders share. Read in this order. */
export * from './beacon.ts';
export * from './suite.ts';
export * from './schedule.ts';
export * from './transcript.ts';
export * from './verdict.ts';
