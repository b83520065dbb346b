/** What people look at: the chain as one JSON object, and a page that shows it. */
import type { Chain } from './chain.ts';
import { ITEMS } from './state.ts';
import { stateOfSubnet } from './state-of-subnet.ts';

/** Blocks that are shown. */
const SHOWN = 20;

export function viewOf(chain: Chain) {
  const { best, finalized, netuid } = chain;
  const { state } = best;
  const subnet = stateOfSubnet(state, netuid);
  return {
    genesis: chain.genesis,
    netuid,
    spec: best.runtime.spec,
    best: { number: best.number, hash: best.hash },
    finalized: { number: finalized.number, hash: finalized.hash },
    epoch: {
      index: Number(state.get(ITEMS.epochIndex, netuid)),
      last_block: Number(state.get(ITEMS.lastEpoch, netuid)),
      tempo: state.get(ITEMS.tempo, netuid),
    },
    commit_reveal: state.get(ITEMS.commitReveal, netuid),
    pool: chain.pool.size,
    neurons: (subnet?.hotkeys ?? []).map((hotkey, uid) => ({
      uid,
      hotkey,
      coldkey: subnet?.coldkeys[uid],
      permit: subnet?.validator_permit[uid],
      stake: String(subnet?.total_stake[uid] ?? 0n),
      incentive: Number(subnet?.incentives[uid] ?? 0n),
      dividends: Number(subnet?.dividends[uid] ?? 0n),
      emission: String(subnet?.emission[uid] ?? 0n),
      last_update: Number(subnet?.last_update[uid] ?? 0n),
      registered: Number(subnet?.block_at_registration[uid] ?? 0n),
      weights: state.get(ITEMS.weights, netuid, uid),
    })),
    blocks: chain
      .line(best)
      .slice(-SHOWN)
      .toReversed()
      .map(({ number, hash, extrinsics, state: after }) => ({
        number,
        hash,
        extrinsics: extrinsics.length - 1,
        events: after.get(ITEMS.events).map(({ event }) => `${event.type}.${event.value._0.type}`),
      })),
  };
}

export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Stand-in chain</title>
<style>
  body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem; color: #111; background: #fff }
  table { border-collapse: collapse; margin: 1rem 0 } th, td { text-align: left; padding: .2rem .8rem .2rem 0 } th { font-weight: 600 }
  code { font: 12px/1.5 ui-monospace, monospace } .n { text-align: right; font-variant-numeric: tabular-nums }
  @media (prefers-color-scheme: dark) { body { color: #eee; background: #111 } }
</style>
<h1>Stand-in chain</h1>
<p id="head">…</p>
<table><thead><tr><th>uid<th>hotkey<th>permit<th class="n">stake<th class="n">incentive<th class="n">emission (alpha)<th>weights it gives</thead><tbody id="neurons"></tbody></table>
<table><thead><tr><th>block<th>hash<th class="n">extrinsics<th>events</thead><tbody id="blocks"></tbody></table>
<script>
  const row = (cells) => { const tr = document.createElement('tr'); for (const [text, kind] of cells) { const td = tr.insertCell(); td.textContent = text; td.className = kind || '' } return tr };
  const show = async () => {
    const view = await (await fetch('/', { headers: { accept: 'application/json' } })).json();
    head.textContent = 'Subnet ' + view.netuid + ' · block ' + view.best.number + ' (finalized ' + view.finalized.number + ') · epoch ' + view.epoch.index + ' · runtime ' + view.spec;
    neurons.replaceChildren(...view.neurons.map((n) => row([[n.uid], [n.hotkey], [n.permit ? 'yes' : ''], [Math.round(n.stake / 1e9), 'n'], [(n.incentive / 655.35).toFixed(1) + ' %', 'n'], [(n.emission / 1e9).toFixed(3), 'n'], [n.weights.map(([uid, value]) => uid + ': ' + value).join('  ')]])));
    blocks.replaceChildren(...view.blocks.map((b) => row([[b.number], [b.hash.slice(0, 18) + '…'], [b.extrinsics, 'n'], [b.events.filter((e) => !e.startsWith('System.')).join('  ')]])));
  };
  const [head, neurons, blocks] = ['head', 'neurons', 'blocks'].map((id) => document.getElementById(id));
  show(); setInterval(show, 1000);
</script>
</html>
`;
