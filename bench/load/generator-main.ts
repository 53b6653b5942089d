// Is the process of the harness's own load generators: the plan comes in on stdin, the figures go out on stdout, as JSON.
// Must not be imported.
import { json } from 'node:stream/consumers';
import { makeConnections, resumeConnections } from './handshake-load.ts';
import { generateStreams } from './http2-load.ts';
import type { LoadPlan } from './load.ts';
import type { GeneratorName, LocalPlan } from './run-generator.ts';
import { generateLoad } from './socket-load.ts';
import { generateMessages } from './websocket-load.ts';

const GENERATORS: Readonly<Record<GeneratorName, (plan: LocalPlan) => ReturnType<typeof generateLoad>>> = {
  'socket-load': generateLoad,
  'http2-load': generateStreams,
  'websocket-load': generateMessages,
  handshakes: makeConnections,
  resumptions: resumeConnections,
};

const name = process.argv[2] as GeneratorName;
const plan = (await json(process.stdin)) as LoadPlan;
process.stdout.write(JSON.stringify(await GENERATORS[name](plan)));
