/** A runtime's description of itself, from the node: big, so it is asked for once per runtime. */
import type { Chain } from '../../functions/chain/chain.ts';
import { ChainError, bytesOf, hexOf } from '../../functions/chain/rpc.ts';
import { ScaleReader } from '../../functions/chain/scale.ts';
import { shapeOf, type Shape } from '../../functions/chain/shape.ts';
import { little } from '../../functions/chain/extrinsic.ts';

/** Formats that tell all that is checked, the best first. */
const FORMATS = [16, 15];

/** The shape of the runtime at a block. Throws `ChainError`. */
export async function runtimeShape(chain: Chain, at: string): Promise<Shape> {
  const call = async (method: string, args: string) => {
    const [answer] = await chain.ask([{ method: 'state_call', params: [method, args, at] }]);
    return new ScaleReader(bytesOf(answer, 'the metadata'), 'the metadata');
  };
  const versions = await call('Metadata_metadata_versions', '0x');
  const offered = versions.list(versions.u32);
  const format = FORMATS.find((known) => offered.includes(known));
  if (format === undefined)
    throw new ChainError('malformed', `the node describes its runtime in formats ${offered.join(', ')}, known are 15 and 16`);
  const reader = await call('Metadata_metadata_at_version', hexOf(little(BigInt(format), 4)));
  const metadata = reader.option(() => reader.blob());
  if (metadata === null) throw new ChainError('malformed', 'the node does not describe its runtime');
  return shapeOf(metadata);
}
