/** A payout signer as `docs/payouts.md` asks for it: real keys, real signatures, the same answer to the same id. */
import { getPublicKey, secretFromSeed, sign } from '@scure/sr25519';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { blake2b } from '@noble/hashes/blake2.js';
import { encodeAddress } from '../../miner-agent/identity/ss58.ts';
import { compactOf, eraBytes, hex, signedBytes, signedExtrinsic, transferCall, type ScriptedChain } from './chain.ts';

interface Ask {
  id: string;
  to: string;
  rao: string;
}

interface Answer {
  extrinsic: string;
  hash: string;
  birth: number;
  death: number;
}

export interface Signer {
  readonly url: string;
  readonly token: string;
  readonly address: string;
  /** Requests by payout. */
  readonly asks: Map<string, number>;
  /** Status to answer instead; null: signs. */
  refuses: number | null;
  /** Changes what is asked before it is signed, or the answer after. */
  twist: { ask?: (ask: Ask) => Ask; answer?: (answer: Answer) => Answer; period?: number };
  close(): Promise<void>;
}

const PERIOD = 64;

export async function startSigner(chain: ScriptedChain): Promise<Signer> {
  const secret = secretFromSeed(new Uint8Array(32).fill(9));
  const address = encodeAddress(getPublicKey(secret));
  const answers = new Map<string, Answer>();
  const asks = new Map<string, number>();
  const server = createServer((request, response) => {
    void readAsk(request).then((ask) => {
      if (request.headers.authorization !== `Bearer ${signer.token}` || request.url !== '/sign') return response.writeHead(401).end();
      if (signer.refuses !== null) return response.writeHead(signer.refuses).end();
      asks.set(ask.id, (asks.get(ask.id) ?? 0) + 1);
      const answer = answers.get(ask.id) ?? signed(signer.twist.ask?.(ask) ?? ask);
      answers.set(ask.id, answer);
      return response.end(JSON.stringify(signer.twist.answer?.(answer) ?? answer));
    });
  });
  const signed = ({ to, rao }: Ask): Answer => {
    const { runtime, number: birth, hash } = chain.finalized;
    const period = signer.twist.period ?? PERIOD;
    const call = transferCall(runtime, to, BigInt(rao));
    const extra = Uint8Array.from([...eraBytes(period, birth), ...compactOf(BigInt(chain.nextNonce(address))), 0, 0]);
    const payload = signedBytes(call, extra, { spec: runtime.spec, genesis: chain.genesis.hash, birth: hash });
    const extrinsic = signedExtrinsic(address, sign(secret, payload), extra, call);
    return { extrinsic: hex(extrinsic), hash: hex(blake2b(extrinsic, { dkLen: 32 })), birth, death: birth + period };
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const signer: Signer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: 'signer-token',
    address,
    asks,
    refuses: null,
    twist: {},
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return signer;
}

async function readAsk(request: IncomingMessage): Promise<Ask> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString('utf8')) as Ask;
}
