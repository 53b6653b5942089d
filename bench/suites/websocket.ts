// Measures WebSocket messages through connections that were upgraded before.
// Must not count upgrades: the load makes one per connection and window.
import { defineNginx, FORWARD } from '../contenders/nginx.ts';
import { httpProxy } from '../contenders/node-proxies.ts';
import { definePlain } from '../contenders/sallyport.ts';
import { buildGenerator } from '../load/run-generator.ts';
import { IN_FLIGHT } from '../load/websocket-load.ts';
import { checkEcho } from './answers.ts';
import type { Trial } from './suite.ts';
import { startEchoUpstream } from './upstream.ts';

const UPGRADE = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;';

/** Is the suite. */
export const websocketSuite: readonly Trial[] = [
  {
    name: 'websocket',
    title: 'WebSocket messages, there and back',
    unit: 'message',
    baselines: ['nginx', 'http-proxy'],
    contenders: [
      defineNginx({
        description: 'proxy_pass with the upgrade, one worker',
        http: `map $http_upgrade $connection_upgrade { default upgrade; '' ''; }`,
        location: `${FORWARD.replace(/proxy_set_header.*/, '')} ${UPGRADE}`,
      }),
      httpProxy,
      definePlain({ description: 'Sallyport, one api, no plugin' }),
    ],
    isSecure: false,
    findLoad: () => ({
      description: `own generator on node:net, ${IN_FLIGHT} messages in flight on each connection`,
      run: buildGenerator('websocket-load'),
    }),
    startUpstream: startEchoUpstream,
    checkAnswers: checkEcho,
  },
];
