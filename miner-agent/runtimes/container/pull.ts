/** Brings the image of an instance onto the engine, and holds it against its digest. */
import { StartFailed } from '../runtime.ts';
import type { RuntimeContext } from '../runtime.ts';
import type { Containers } from './containers.ts';
import { EngineError } from './engine.ts';
import { credentialFor, parseImage, registryAuth } from './image.ts';
import { PullProgress } from './pull-progress.ts';

/** The image's name on the engine. Throws `StartFailed` or what the engine says. */
export async function bringImage({ engine, pulled }: Containers, context: RuntimeContext, signal: AbortSignal): Promise<string> {
  const { account, config } = context.spec;
  const image = parseImage(config.image ?? '');
  const credential = credentialFor(image, context.secrets);
  const here = async () => (await engine.image(image.name))?.digests.some((d) => d.endsWith(`@${image.digest}`)) ?? null;
  if (pulled.mayUse(image.name, account) && (await here()) === true) {
    pulled.used(image.name, account, credential !== null, Date.now());
    return image.name;
  }
  const progress = new PullProgress();
  context.progress('pulling');
  try {
    await engine.pull(image.name, credential === null ? null : registryAuth(image, credential), signal, (line) =>
      context.progress(progress.add(line)),
    );
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const hint =
      credential === null && /denied|unauthorized|authentication|403|401/i.test(error.message)
        ? `; no credentials for ${image.registry} were given`
        : '';
    throw new StartFailed(`the image cannot be pulled: ${error.message}${hint}`);
  }
  // An engine or mirror that answers with another image is not believed.
  if ((await here()) !== true) throw new StartFailed(`the image that was pulled does not have the digest ${image.digest}`);
  pulled.used(image.name, account, credential !== null, Date.now());
  return image.name;
}
