// Measures ordinary requests over HTTP/1.1 in clear: the table that is measured unless another is asked for.
// Must not measure other wires.
import { nginx } from '../contenders/nginx.ts';
import { fastify, httpProxy } from '../contenders/node-proxies.ts';
import { sallyportContenders } from '../contenders/sallyport.ts';
import { findLoadGenerator } from '../load/load.ts';
import { checkHttpAnswers } from './answers.ts';
import type { Trial } from './suite.ts';
import { startHttpUpstream } from './upstream.ts';

/** Is the suite. */
export const proxySuite: readonly Trial[] = [
  {
    name: 'proxy',
    title: 'requests over HTTP/1.1 in clear',
    unit: 'request',
    baselines: ['nginx', 'http-proxy'],
    contenders: [nginx, httpProxy, fastify, ...sallyportContenders],
    isSecure: false,
    findLoad: findLoadGenerator,
    startUpstream: startHttpUpstream,
    checkAnswers: checkHttpAnswers,
  },
];
