/** The screen of `up` and of `status`: one function from what is known to lines. Pure. */
import { foremost, WHY } from '#protocol/why.ts';
import type { Device, Inventory } from '#protocol';
import { printable } from '../../cli/io.ts';
import { table } from '../../cli/show.ts';
import type { Paint } from '../commands/cli.ts';
import type { DeviceProof, EdgeFacts } from '../commands/edge.ts';
import type { Status } from '../control/status.ts';
import { dollars, dollarsOfNano, duration, many, memory } from './text.ts';

export interface Screen {
  /** Null: no agent runs here. */
  status: Status | null;
  /** Null: not asked yet. */
  edge: EdgeFacts | null;
  /** The last pieces of news, oldest first. */
  news: readonly string[];
}

export function screenLines({ status, edge, news }: Screen, paint: Paint): string[] {
  const sections = [
    status === null ? awayLines(edge, paint) : headLines(status, paint),
    [...moneyLines(edge, status), ...verdictLines(edge)],
    ...(status === null ? [] : [deviceLines(status, edge?.proofs ?? null, paint), instanceLines(status, paint), whyLines(status, paint)]),
    edge?.problem == null ? [] : [paint('yellow', `The edge: ${printable(edge.problem)}`)],
    news,
  ];
  return sections.filter((lines) => lines.length > 0).flatMap((lines, at) => (at === 0 ? lines : ['', ...lines]));
}

function headLines({ at, name, hotkey, link, started_at, draining, maintenance, served }: Status, paint: Paint): string[] {
  const detail = printable(link.detail);
  const connection =
    link.state === 'up'
      ? `${paint('green', 'connected')} to ${detail}`
      : link.state === 'dialling'
        ? `connecting to ${detail}`
        : `${paint('red', 'not connected')}: ${detail}`;
  const mode = draining ? `  ${paint('yellow', 'leaving')}` : maintenance ? `  ${paint('yellow', 'maintenance: no new work')}` : '';
  const failed = served.failed === 0 ? '' : `, ${served.failed} failed`;
  return [
    `${paint('bold', name)}  ${hotkey}${mode}`,
    connection,
    `running for ${duration(at - started_at)}, ${many(served.calls, 'call')} served${failed}, ${many(served.tokens_out, 'token')} out`,
  ];
}

function awayLines(edge: EdgeFacts | null, paint: Paint): string[] {
  const head = `${paint('red', 'not running here')}  start it: ripcord-miner up`;
  if (edge === null) return [head];
  const agents = edge.miner?.agents ?? [];
  const connected = agents.filter((agent) => agent.connected === true).length;
  const elsewhere =
    agents.length === 0
      ? 'No agent of this hotkey was ever connected.'
      : `${many(agents.length, 'agent')} of this hotkey known to the edge, ${connected} connected, ${many(
          agents.reduce((sum, agent) => sum + agent.running, 0),
          'instance',
        )} running.`;
  return [head, elsewhere];
}

function moneyLines(edge: EdgeFacts | null, status: Status | null): string[] {
  const live = status?.instances.filter((i) => i.state === 'live') ?? [];
  const known = live.filter((i) => i.expected_usd_hour !== null);
  const hourly = known.reduce((sum, i) => sum + (i.expected_usd_hour ?? 0), 0);
  const expected = known.length === 0 ? '' : `   expected now ${dollars(hourly)} an hour`;
  if (edge === null || edge.earnings === null) return expected === '' ? [] : [`earnings  ${expected.trim()}`];
  const { pending_nanousd, payable_nanousd } = edge.earnings;
  const day = edge.day === null ? '' : `${dollarsOfNano(edge.day)} in 24 hours   `;
  return [`earnings  ${day}${dollarsOfNano(pending_nanousd)} pending   ${dollarsOfNano(payable_nanousd)} payable${expected}`];
}

/** What judges saw, the first of them; more only differ. */
function verdictLines(edge: EdgeFacts | null): string[] {
  const [first, ...others] = edge?.miner?.scores ?? [];
  if (first === undefined) return edge?.miner == null ? [] : ['verdicts  not judged yet'];
  const { clean, tests, calls } = first.parts;
  const more = others.length === 0 ? '' : `, and ${many(others.length, 'other judge')}`;
  if (!clean) return [`verdicts  proven false, no share of the emission: ripcord-miner verdicts${more}`];
  const percent = (millionths: number) => `${(millionths / 10_000).toFixed(1)} %`;
  return [`verdicts  ${percent(first.score)} of the emission, tests ${percent(tests)}, calls ${percent(calls)}${more}`];
}

function deviceLines({ inventory, instances, agent }: Status, proofs: readonly DeviceProof[] | null, paint: Paint): string[] {
  const gpus = inventory.devices.filter((device) => device.kind === 'gpu');
  const rows = inventory.devices.map((device) => [
    labelOf(device, gpus),
    memory(device.memoryMb),
    ...(proofs === null ? [] : [proofOf(proofs.find((proof) => proof.target === `${agent}/${device.id}`))]),
    usersOf(device, instances).join(', '),
  ]);
  const head = ['DEVICE', 'MEMORY', ...(proofs === null ? [] : ['PROVEN']), 'RUNS'];
  return [...headed(table(head, rows), paint), paint('dim', machineLine(inventory))];
}

/** A device that no judge has proven earns no capacity. */
function proofOf(proof: DeviceProof | undefined): string {
  if (proof === undefined) return 'not tested yet';
  const { reason, class: of, rate } = proof;
  return of === null || rate === null ? `unproven (${reason})` : `${of}, ${rate.toLocaleString('en-US')} M/s`;
}

function labelOf(device: Device, gpus: readonly Device[]): string {
  return device.kind === 'cpu' ? `CPU    ${device.name}` : `GPU ${gpus.indexOf(device)}  ${device.name}`;
}

/** The CPU runs what has no GPU. */
function usersOf(device: Device, instances: Status['instances']): string[] {
  const on = instances.filter((i) => i.devices.includes(device.id) || (device.kind === 'cpu' && i.devices.length === 0));
  return [...new Set(on.map((i) => i.name))];
}

function machineLine({ cpus, diskFreeMb, engine, toolkit }: Inventory): string {
  const parts = [
    cpus === undefined ? null : many(cpus, 'thread'),
    diskFreeMb === undefined ? null : `${memory(diskFreeMb)} of disk free`,
    engine ?? 'no container engine',
    toolkit === undefined ? null : `NVIDIA container toolkit ${toolkit}`,
  ];
  return parts.filter((part) => part !== null).join(', ');
}

function instanceLines({ at, instances }: Status, paint: Paint): string[] {
  if (instances.length === 0) return ['no instances yet'];
  const rows = instances.map((i) => [
    i.name,
    i.instance.slice(0, 12),
    i.state,
    `${i.busy}/${i.slots}`,
    String(i.calls),
    String(i.tokens_out),
    duration(at - i.since),
    i.state === 'live' ? (i.expected_usd_hour === null ? '' : `${dollars(i.expected_usd_hour)} an hour`) : i.detail.slice(0, 80),
  ]);
  return headed(
    table(['CHUTE', 'INSTANCE', 'STATE', 'BUSY', 'CALLS', 'TOKENS', 'SINCE', ''], rows, ['BUSY', 'CALLS', 'TOKENS', 'SINCE']),
    paint,
  );
}

function whyLines({ offers, reasons, instances }: Status, paint: Paint): string[] {
  const idle = reasons.filter(({ code }) => code !== 'serving' && code !== 'claiming');
  const first = foremost(idle);
  if (first === null) return [];
  const { text, next } = WHY[first];
  const about = idle.find(({ code }) => code === first);
  const named = about === undefined || about.chutes.length === 0 ? '' : ` (${printable(about.chutes.join(', '))})`;
  const label = instances.length === 0 ? 'why idle' : 'why no more';
  return [`${label}  ${text}${named}; ${many(offers, 'offer')} on the board`, paint('dim', `${' '.repeat(label.length)}  ${next}`)];
}

function headed(text: string, paint: Paint): string[] {
  const [head = '', ...rows] = text.split('\n');
  return [paint('dim', head), ...rows];
}
