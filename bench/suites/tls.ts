// Measures TLS: requests on connections that stay, full handshakes, resumed ones. One certificate for all, ECDSA on P-256.
// Must not tune either side: both take the versions, curves and tickets of their defaults.
import { defineNginx, FORWARD } from '../contenders/nginx.ts';
import { definePlain } from '../contenders/sallyport.ts';
import { findLoadGenerator } from '../load/load.ts';
import { buildGenerator, type GeneratorName } from '../load/run-generator.ts';
import { checkHttpAnswers } from './answers.ts';
import type { Trial } from './suite.ts';
import { startHttpUpstream } from './upstream.ts';

const base: Omit<Trial, 'name' | 'title' | 'unit' | 'findLoad'> = {
  baselines: ['nginx'],
  contenders: [
    defineNginx({ description: 'bare reverse proxy over TLS, one worker', location: FORWARD }),
    definePlain({ description: 'Sallyport over TLS, one api, no plugin' }),
  ],
  isSecure: true,
  startUpstream: startHttpUpstream,
  checkAnswers: checkHttpAnswers,
};

function defineHandshakes(name: GeneratorName, title: string): Trial {
  const findLoad: Trial['findLoad'] = () => ({ description: 'own generator on node:tls', run: buildGenerator(name) });
  return { ...base, name, title, unit: 'handshake', findLoad };
}

/** Is the suite. */
export const tlsSuite: readonly Trial[] = [
  {
    ...base,
    name: 'tls',
    title: 'requests over kept-alive TLS connections',
    unit: 'request',
    findLoad: findLoadGenerator,
  },
  defineHandshakes('handshakes', 'TLS connections with a full handshake, one request each'),
  defineHandshakes('resumptions', 'TLS connections that resume a session, one request each'),
];
