// A cog model as small as can be; STATES are the answers of its health check, one a look, the last for good.
import { createServer } from 'node:http';

const states = JSON.parse(process.env.STATES ?? '[{"status":"READY"}]');
let busy = false;
const json = (response, status, value) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

const server = createServer((request, response) => void answer(request, response));
server.listen(Number(process.env.PORT), '127.0.0.1');

async function answer(request, response) {
  if (request.url === '/health-check') return json(response, 200, states.length > 1 ? states.shift() : states[0]);
  let body = '';
  for await (const chunk of request) body += chunk;
  if (request.headers.accept === 'text/event-stream') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    return response.end('event: start\ndata: {}\n\nevent: completed\ndata: {"output":"A"}\n\n');
  }
  if (busy) return json(response, 409, { error: 'At capacity - all prediction slots busy', status: 'failed' });
  const { input } = JSON.parse(body || '{"input":{}}');
  if (input.hang) {
    busy = true;
    response.on('close', () => {
      busy = false;
      console.log('canceled');
    });
    return console.log('hang');
  }
  return json(response, 200, { id: request.url.split('/')[2] ?? 'pred_1', status: 'succeeded', output: input });
}
