/** Brings the image of an instance onto the engine, and holds it against its digest. */
import { StartFailed } from '../runtime.ts';
import type { RuntimeContext } from '../runtime.ts';
import type { Containers } from './containers.ts';
import { EngineError } from './engine.ts';
import { credentialFor, parseImage, registryAuth } from './image.ts';
import { PullProgress } from './pull-progress.ts';

export interface Brought {
  /** The image's name on the engine. */
  name: string;
  /** Paths that it declares as volumes. */
  volumes: readonly string[];
}

/** Throws `StartFailed` or what the engine says. */
export async function bringImage(host: Containers, context: RuntimeContext, signal: AbortSignal): Promise<Brought> {
  const { engine, pulled } = host;
  const { account, config } = context.spec;
  const image = parseImage(config.image ?? '');
  const credential = credentialFor(image, context.secrets);
  const auth = credential === null ? null : registryAuth(image, credential);
  const look = async () => {
    const found = await engine.image(image.name);
    return found?.digests.some((d) => d.endsWith(`@${image.digest}`)) === true ? found : null;
  };
  let here = await look();
  if (here === null || !pulled.mayUse(image.name, account)) {
    context.progress('pulling');
    const progress = new PullProgress();
    try {
      // Docker gives an image that is here to whoever pulls it by its digest. Podman asks the registry each time.
      if (here !== null && host.options.facts.name === 'docker') await engine.askRegistry(image.name, auth);
      await engine.pull(image.name, auth, signal, (line) => context.progress(progress.add(line)));
    } catch (error) {
      throw error instanceof EngineError ? new StartFailed(cause(error, credential === null ? image.registry : null)) : error;
    }
    // An engine or mirror that answers with another image is not believed.
    here = await look();
    if (here === null) throw new StartFailed(`the image that was pulled does not have the digest ${image.digest}`);
  }
  pulled.used(image.name, account, credential !== null, Date.now());
  return { name: image.name, volumes: here.volumes };
}

/** `without`: the registry that no credentials were given for. */
function cause({ message }: EngineError, without: string | null): string {
  const denied = /denied|unauthorized|authentication|credentials|40[13]/i.test(message);
  return `the image cannot be pulled: ${message}${denied && without !== null ? `; no credentials for ${without} were given` : ''}`;
}
