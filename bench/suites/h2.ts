// Measures requests over HTTP/2, in clear and over TLS; targets speak HTTP/1.1.
// Must not measure gRPC: its targets speak HTTP/2.
import { defineNginx, FORWARD } from '../contenders/nginx.ts';
import { definePlain } from '../contenders/sallyport.ts';
import { findHttp2Generator } from '../load/load.ts';
import { checkHttp2Answers } from './answers.ts';
import type { Trial } from './suite.ts';
import { startHttpUpstream } from './upstream.ts';

const base: Omit<Trial, 'name' | 'title' | 'isSecure'> = {
  unit: 'request',
  baselines: ['nginx'],
  contenders: [
    defineNginx({ description: 'bare reverse proxy, HTTP/2 to clients, one worker', location: FORWARD, isHttp2: true }),
    definePlain({ description: 'Sallyport, HTTP/2 to clients, one api, no plugin' }),
  ],
  findLoad: findHttp2Generator,
  startUpstream: startHttpUpstream,
  checkAnswers: checkHttp2Answers,
};

/** Is the suite. */
export const h2Suite: readonly Trial[] = [
  { ...base, name: 'h2c', title: 'requests over HTTP/2 in clear', isSecure: false },
  { ...base, name: 'h2', title: 'requests over HTTP/2 and TLS', isSecure: true },
];
