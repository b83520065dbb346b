/** What a template knows of an engine. Flags and names are as the engine documents them, see `docs` of each. */
import type { Cord } from '#protocol';
import type { GpuEstimate, Load } from './estimate.ts';
import type { ModelSize } from './size.ts';

export interface Wish {
  /** `ORG/NAME` of Hugging Face, where the engine knows it also `ORG/NAME:QUANT`. */
  model: string;
  size: ModelSize;
  gpu: GpuEstimate;
}

export interface Template {
  name: string;
  /** One line for a list. */
  about: string;
  /** A model that works, for examples. */
  example: string;
  /** The version whose documents it follows, and where they are. */
  docs: string;
  /** The image for a model; null: there is none, `models` says for which there are. */
  image: (model: string) => string | null;
  models?: string;
  adapter?: 'runpod';
  entrypoint?: string[];
  args?: (wish: Wish) => string[];
  port?: number;
  health: string;
  /** `openai`: under /v1, tokens are counted. */
  api: 'openai' | 'http';
  cords: Pick<Cord, 'path' | 'retry'>[];
  env: (wish: Wish) => Record<string, string>;
  load: Omit<Load, 'params' | 'bytes'>;
  concurrency: number;
  /** The weights are in the image: nothing is fetched at a start. */
  baked?: true;
}
