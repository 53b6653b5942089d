// Runs http-proxy bare, with nothing but a keep-alive agent: the baseline of the Node world.
// Must not be tuned past what its README shows.
import { Agent, createServer } from 'node:http';
import httpProxy from 'http-proxy';
import { announce } from './announce.ts';

const [target = ''] = process.argv.slice(2);
const proxy = httpProxy.createProxyServer({ target, agent: new Agent({ keepAlive: true }) });
proxy.on('error', (_error, _request, response) => {
  if ('writeHead' in response) response.writeHead(502);
  response.end();
});
const server = createServer((request, response) => proxy.web(request, response));
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head));
announce(server.listen(0, '127.0.0.1'));
