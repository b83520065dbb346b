/** A judge's Worker that does nothing but post the weights it is given: for `test/network/signer.test.ts`. */
import type { PostAsk } from '../../../validator-cron/chain/post.ts';
import { postWeights, type SignerEnv } from '../../../validator-cron/chain/signer.ts';

export { SignerObject } from '../../../validator-cron/chain/signer.ts';

export default {
  async fetch(request, env) {
    return Response.json(await postWeights(env, await request.json<PostAsk>()));
  },
} satisfies ExportedHandler<SignerEnv>;
