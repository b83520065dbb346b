/** The flags of `npm start` and `npm run dev`. */
import { parseArgs } from 'node:util';
import { DEVELOPMENT } from '#protocol/challenge/suite.ts';
import { EXIT, StartFailure } from './failure.ts';

export interface Options {
  /** One JSON object on stdout when all is live. */
  json: boolean;
  port: number;
  /** The data folder, as given. */
  data: string;
  /** Forget what the data folder holds. */
  fresh: boolean;
  /** Length of a scoring epoch: whole slots. */
  epochSeconds: number;
  /** Weights must be committed on the chain, and are revealed by the beacon. */
  commitReveal: boolean;
  /** Run the edge under `wrangler dev`, which reloads it when a source changes. */
  reload: boolean;
}

const SLOT = DEVELOPMENT.cadence.slotSeconds;

export const HELP = `Runs the whole network on this machine.

  npm start -- [--json] [--port N] [--data DIR] [--fresh] [--epoch-seconds N] [--commit-reveal]

  --json             one JSON object on stdout when all is live; progress goes to stderr
  --port N           port of the API on 127.0.0.1 (8787; 0 takes a free one)
  --data DIR         where everything is kept (.ripcord; with --reload .ripcord-dev)
  --fresh            start over with an empty data folder
  --epoch-seconds N  length of a scoring epoch: a multiple of ${SLOT} (60)
  --commit-reveal    weights are committed on the chain and revealed by the beacon
  --reload           reload the edge when a source changes (npm run dev)

Ctrl-C stops everything. Exit codes: 0 stopped, 1 failed, 2 wrong flag, 4 port taken, 5 data folder unusable.
`;

/** Throws `StartFailure` for wrong use; null means: show the help. */
export function readOptions(argv: string[]): Options | null {
  const { values } = parse(argv);
  if (values.help) return null;
  const epochSeconds = whole('--epoch-seconds', values['epoch-seconds'], SLOT, 86_400);
  if (epochSeconds % SLOT !== 0) throw new StartFailure(`--epoch-seconds takes multiples of ${SLOT}: ${SLOT}, ${2 * SLOT}, …`, EXIT.usage);
  return {
    json: values.json,
    port: whole('--port', values.port, 0, 65_535),
    // The simulators of wrangler keep their state in a form of their own.
    data: values.data ?? (values.reload ? '.ripcord-dev' : '.ripcord'),
    fresh: values.fresh,
    epochSeconds,
    commitReveal: values['commit-reveal'],
    reload: values.reload,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        json: { type: 'boolean', default: false },
        port: { type: 'string', default: '8787' },
        data: { type: 'string' },
        fresh: { type: 'boolean', default: false },
        'epoch-seconds': { type: 'string', default: '60' },
        'commit-reveal': { type: 'boolean', default: false },
        reload: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new StartFailure(`${(error as Error).message.split('. ')[0]}. See npm start -- --help.`, EXIT.usage);
  }
}

function whole(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new StartFailure(`${flag} takes a whole number from ${least} to ${most}, not ${JSON.stringify(text)}.`, EXIT.usage);
}
