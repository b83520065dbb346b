/** The beacon of all test networks: a key everybody knows, so that nothing is computed where no pulse is asked for. */
import type { BeaconAsk } from '../../dev/beacon/beacon.ts';

export const TEST_BEACON = {
  seed: '00'.repeat(32),
  publicKey:
    '93ac7be3715172b0c724e612bfceeefcfd2a88fea6d9b560e938f7b78939790f00ee70c8e8e1f1d8d318437dbfd2aa4411b1b2536b8925c8de4161ebdfef75c5fdebb8fb3d8da864f3ae2085b963afc8899e03c27f9032b77d6c2903799a9b8c',
} as const satisfies BeaconAsk;
