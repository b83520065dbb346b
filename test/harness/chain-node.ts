/** A node over real HTTP: JSON-RPC, alone or in batches, of a chain that the test writes. It can be pruned, slow, wrong or away. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Invalid, ScriptedChain, hex, metadataHex, unhex, type ScriptedBlock } from './chain.ts';

/** What a node does instead of answering: HTTP 429, never, not JSON, or nothing that is asked for. */
export type NodeFault = 'busy' | 'hang' | 'html' | 'empty' | null;

export interface ChainNode {
  readonly url: string;
  fault: NodeFault;
  /** Blocks before the finalized head whose state it keeps; null: all. */
  keeps: number | null;
  /** Another genesis that it says is its own. */
  genesis: string | null;
  /** Methods that were asked for. */
  readonly asked: string[];
  /** Finality as this node knows it, behind the chain's. */
  lag: number;
  /** Drops what hangs. */
  stop(): Promise<void>;
  /** On the same port again. */
  start(): Promise<void>;
}

const EVENTS_KEY = '0x26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7';

interface Call {
  id: number;
  method: string;
  params: unknown[];
}

class Refusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export async function startChainNode(chain: ScriptedChain): Promise<ChainNode> {
  let server: Server | null = null;
  let port = 0;
  const asked: string[] = [];
  const node: ChainNode = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    fault: null,
    keeps: null,
    genesis: null,
    asked,
    lag: 0,
    async stop() {
      const closing = server;
      server = null;
      if (closing === null) return;
      closing.closeAllConnections();
      await new Promise((resolve) => closing.close(resolve));
    },
    async start() {
      server = createServer((request, response) => void answer(chain, node, request, response));
      await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
      port = (server.address() as AddressInfo).port;
    },
  };
  await node.start();
  return node;
}

async function answer(chain: ScriptedChain, node: ChainNode, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  const calls = JSON.parse(Buffer.concat(parts).toString('utf8')) as Call | Call[];
  if (node.fault === 'hang') return;
  if (node.fault === 'busy') return void response.writeHead(429).end('too many requests');
  if (node.fault === 'html') return void response.end('<html>bad gateway</html>');
  if (node.fault === 'empty') return void response.end('[]');
  response.setHeader('content-type', 'application/json');
  // Batches may be answered in any order.
  const replies = [calls]
    .flat()
    .map((call) => reply(chain, node, call))
    .toReversed();
  response.end(JSON.stringify(Array.isArray(calls) ? replies : replies[0]));
}

function reply(chain: ScriptedChain, node: ChainNode, { id, method, params }: Call) {
  node.asked.push(method);
  try {
    return { jsonrpc: '2.0', id, result: resultOf(chain, node, method, params) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { jsonrpc: '2.0', id, error: { code: error.code, message: error.message } };
  }
}

function resultOf(chain: ScriptedChain, node: ChainNode, method: string, params: unknown[]): unknown {
  const finalized = chain.line(chain.finalized).at(-1 - node.lag) ?? chain.genesis;
  const blockAt = (hash: unknown): ScriptedBlock => {
    if (hash === undefined || hash === null) return chain.best;
    const block = typeof hash === 'string' ? chain.blocks.get(hash) : undefined;
    if (block === undefined) throw new Refusal(-32_000, 'Client error: UnknownBlock');
    return block;
  };
  const stateAt = (hash: unknown): ScriptedBlock => {
    const block = blockAt(hash);
    if (node.keeps !== null && block.number < chain.finalized.number - node.keeps)
      throw new Refusal(4003, `Client error: UnknownBlock: State already discarded for ${block.hash}`);
    return block;
  };
  switch (method) {
    case 'chain_getBlockHash':
      if (params[0] === 0) return node.genesis ?? chain.genesis.hash;
      return (params[0] === undefined ? chain.best : chain.at(Number(params[0])))?.hash ?? null;
    case 'chain_getFinalizedHead':
      return finalized.hash;
    case 'chain_getHeader':
      return headerOf(blockAt(params[0]));
    case 'chain_getBlock': {
      const block = blockAt(params[0]);
      return { block: { header: headerOf(block), extrinsics: block.extrinsics }, justifications: null };
    }
    case 'state_getRuntimeVersion':
      return { specName: 'node-subtensor', specVersion: stateAt(params[0]).runtime.spec, transactionVersion: 1, apis: [] };
    case 'state_getMetadata':
      return metadataHex(stateAt(params[0]).runtime);
    case 'state_getStorage':
      if (params[0] !== EVENTS_KEY) return null;
      return hex(stateAt(params[1]).events);
    case 'system_accountNextIndex':
      return chain.nextNonce(String(params[0]));
    case 'author_submitExtrinsic':
      return submitted(chain, String(params[0]));
    default:
      throw new Refusal(-32_601, 'Method not found');
  }
}

function headerOf(block: ScriptedBlock) {
  return {
    parentHash: block.parent,
    number: `0x${block.number.toString(16)}`,
    stateRoot: block.stateRoot,
    extrinsicsRoot: block.stateRoot,
    digest: { logs: [] },
  };
}

function submitted(chain: ScriptedChain, extrinsic: string): string {
  try {
    return chain.submit(unhex(extrinsic));
  } catch (error) {
    if (error instanceof Invalid) throw new Refusal(1010, `Invalid Transaction: ${error.message}`);
    throw error;
  }
}
