// Measures unary gRPC calls: HTTP/2 in clear on both sides.
// Must not need a gRPC library.
import type { LoadRequest } from '../contenders/contender.ts';
import { defineNginx } from '../contenders/nginx.ts';
import { definePlain } from '../contenders/sallyport.ts';
import { findHttp2Generator } from '../load/load.ts';
import { checkCall } from './answers.ts';
import { CALL_ANSWER, CALL_PATH, CALL_REQUEST } from './call-messages.ts';
import type { Trial } from './suite.ts';
import { startCallUpstream } from './upstream.ts';

const requests: readonly LoadRequest[] = [
  {
    path: CALL_PATH,
    headers: { 'content-type': 'application/grpc', te: 'trailers' },
    body: CALL_REQUEST,
    answerLength: CALL_ANSWER.length,
  },
];

/** Is the suite. */
export const grpcSuite: readonly Trial[] = [
  {
    name: 'grpc',
    title: 'unary gRPC calls over HTTP/2 in clear',
    unit: 'call',
    baselines: ['nginx'],
    contenders: [
      defineNginx({
        description: 'grpc_pass, one worker',
        isHttp2: true,
        location: 'grpc_pass grpc://orders;',
        requests,
      }),
      definePlain({ description: 'Sallyport, one api, no plugin', upstreamScheme: 'h2c', requests }),
    ],
    isSecure: false,
    findLoad: findHttp2Generator,
    startUpstream: startCallUpstream,
    checkAnswers: checkCall,
  },
];
