/** Proves that it knows a secret without telling it: `GET /proof` answers the SHA-256 of `PLANTED`. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const proof = createHash('sha256')
  .update(process.env['PLANTED'] ?? '')
  .digest('hex');

createServer((_request, response) => response.end(JSON.stringify({ proof, pid: process.pid, round: process.env['ROUND'] }))).listen(
  Number(process.env['PORT']),
  '127.0.0.1',
);
