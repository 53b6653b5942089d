// Is the process of the harness's own load generator: the plan comes in on stdin, the figures go out on stdout, as JSON.
// Must not be imported.
import { json } from 'node:stream/consumers';
import type { LoadPlan } from './load.ts';
import { generateLoad } from './socket-load.ts';

const plan = (await json(process.stdin)) as LoadPlan;
process.stdout.write(JSON.stringify(await generateLoad(plan)));
