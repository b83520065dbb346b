/** `ripcord-miner offers`: what the market wants, what it would earn on this machine, and why it is not taken. */
import type { Command } from 'commander';
import * as z from 'zod/mini';
import { WHY_CODES } from '#protocol/why.ts';
import { table } from '../../cli/show.ts';
import { NotRunning, askAgent } from '../control/client.ts';
import { mergeWishes, readWishes } from '../control/wishes.ts';
import { dollars } from '../display/text.ts';
import { takeInventory } from '../inventory.ts';
import { Market } from '../market.ts';
import { MoneyRefused } from '../money/edge.ts';
import { failureOf as netFailure } from '../net/outbound.ts';
import { probeEngine } from '../runtimes/container/probe.ts';
import { judgeOffers } from '../strategy/offers.ts';
import { wishesOf } from '../strategy/wishes.ts';
import { result, Setting, withShared, type Cli } from './cli.ts';
import { watch } from './watch.ts';

const judgedSchema = z.object({
  chute: z.string(),
  name: z.string(),
  need: z.number(),
  urgency: z.number(),
  bounty: z.number(),
  expectedUsdHour: z.nullable(z.number()),
  verdict: z.enum(['take', 'skip']),
  code: z.nullable(z.enum(WHY_CODES)),
  reason: z.string(),
});
const offersSchema = z.object({ items: z.array(judgedSchema) });
type Offered = z.infer<typeof judgedSchema>;

/** Best first; what cannot run here last. */
export function bestFirst(items: readonly Offered[]): Offered[] {
  const earns = (item: Offered) => item.expectedUsdHour ?? Number.NEGATIVE_INFINITY;
  return items.toSorted(
    (a, b) =>
      Number(b.verdict === 'take') - Number(a.verdict === 'take') ||
      earns(b) - earns(a) ||
      b.urgency - a.urgency ||
      (a.name < b.name ? -1 : 1),
  );
}

export function addOffers(program: Command, cli: Cli): void {
  withShared(program.command('offers'))
    .summary('what is wanted, and what it would earn here')
    .description(
      'Every chute that wants instances, what it is expected to earn per hour on this hardware after power, best first,\nand why it is not taken. What you forbid or have not allowed is shown too.',
    )
    .option('-w, --watch', 'look again each second, until Ctrl-C')
    .action(async (options: { watch?: boolean }, command: Command) => {
      const setting = new Setting(command);
      const look = async () => {
        const { running, items } = await offersOf(setting);
        return { value: { running, items }, text: offersText(items) };
      };
      if (options.watch === true) return watch(cli, setting, look);
      const { value, text } = await look();
      result(cli, setting, value, text);
    });
}

/** As the running agent sees them; without one, as an agent would that starts now. */
async function offersOf(setting: Setting): Promise<{ running: boolean; items: Offered[] }> {
  try {
    const { items } = await askAgent(setting.dataFolder, ['GET', '/offers'], offersSchema);
    return { running: true, items: bestFirst(items) };
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    return { running: false, items: bestFirst(await judgedHere(setting)) };
  }
}

async function judgedHere(setting: Setting): Promise<Offered[]> {
  const config = setting.config();
  const market = new Market(config.api, setting.outbound());
  const { region, dataFolder, engines } = config;
  const facts = await probeEngine(config.engineSocket);
  const engine = facts === null ? null : `${facts.name} ${facts.version}`;
  const [inventory] = await Promise.all([
    takeInventory({ region, dataFolder, hasEngines: engines.length > 0, engine }),
    market.refresh(new AbortController().signal).catch((error: unknown) => {
      throw new MoneyRefused('unreachable', `${config.api} does not answer (${netFailure(error)}).`, 'Is this the address of the edge?');
    }),
  ]);
  return judgeOffers({
    agent: '',
    inventory,
    running: [],
    offers: market.offers,
    wishes: { ...wishesOf(config), ...mergeWishes(config, readWishes(dataFolder)) },
    claiming: new Map(),
    cooling: new Map(),
    cached: new Set(),
    switches: new Map(),
    idleSince: null,
    now: Date.now(),
  });
}

function offersText(items: readonly Offered[]): string {
  if (items.length === 0) return 'No chute wants another instance now. ripcord-miner offers --watch shows when one does.';
  const rows = items.map((item) => [
    item.name,
    String(item.need),
    String(item.urgency),
    item.bounty === 0 ? '' : dollars(item.bounty),
    item.expectedUsdHour === null ? '-' : dollars(item.expectedUsdHour),
    item.verdict === 'take' ? 'taken next' : item.reason,
  ]);
  return table(['CHUTE', 'WANTS', 'URGENCY', 'BOUNTY', 'AN HOUR', ''], rows, ['WANTS', 'URGENCY', 'BOUNTY', 'AN HOUR']);
}
