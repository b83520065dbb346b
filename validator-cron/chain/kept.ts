/** What the signer keeps, as its rows hold it. */
import * as z from 'zod/mini';
import { weightsSchema } from '#protocol/epoch.ts';
import type { Shape } from '../../functions/chain/shape.ts';
import type { Submission } from './plan.ts';

const hex = z.string().check(z.regex(/^0x([0-9a-f]{2})+$/));

export const submissionSchema: z.ZodMiniType<Submission> = z.object({
  epoch: z.int(),
  kind: z.enum(['set', 'commit']),
  weights: weightsSchema,
  extrinsic: hex,
  hash: hex,
  nonce: z.int(),
  birth: z.int(),
  death: z.int(),
  round: z.nullable(z.int()),
  block: z.nullable(z.int()),
  chainEpoch: z.nullable(z.int()),
});

export const shapeSchema: z.ZodMiniType<Shape> = z.object({ faults: z.array(z.string()), blockMs: z.number() });
