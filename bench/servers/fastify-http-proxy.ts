// Runs @fastify/http-proxy with its defaults and no logging.
// Must not be tuned past what its README shows.
import fastifyHttpProxy from '@fastify/http-proxy';
import { fastify } from 'fastify';
import { announce } from './announce.ts';

const [target = ''] = process.argv.slice(2);
const app = fastify({ logger: false });
await app.register(fastifyHttpProxy, { upstream: target });
announce(app.server);
await app.listen({ port: 0, host: '127.0.0.1' });
