// The life of one request: route, walk the hooks, forward, stream back, log. One object per request.
// Must not hold what outlives the request.

import type { EngineContext, Lease } from '../engine.ts';
import { GatewayError } from '../errors.ts';
import { type Chain, runChunkSteps, runLogSteps, runResponseSteps, runSteps, type Walk } from '../pipeline.ts';
import type { Logger, MaybePromise } from '../plugin.ts';
import type { IncomingRequest, OutgoingResponse } from '../ports.ts';
import type { RouteEntry } from '../routing/router.ts';
import { findConsumerChain } from '../snapshot.ts';
import type { TargetState } from '../upstream/balancer.ts';
import { Forward, type ForwardHandler } from '../upstream/forward.ts';
import { buildProblem, toGatewayError } from './answers.ts';
import type { ClientFacts } from './client.ts';
import type { ExchangeState, OwnAnswer, ResponseState } from './exchange.ts';
import { readResponseHeaders } from './headers.ts';
import { buildForwardRequest, buildOutgoingBody } from './outbound.ts';

const NO_BYTES = new Uint8Array(0);

/** Is what the engine found out before the first hook runs. */
export interface RunStart {
  readonly context: EngineContext;
  readonly lease: Lease;
  readonly incoming: IncomingRequest;
  readonly outgoing: OutgoingResponse;
  readonly exchange: ExchangeState;
  readonly chain: Chain;
  readonly client: ClientFacts;
  /** Monotonic milliseconds when the head was read. */
  readonly beganMs: number;
  /** The route; undefined when the answer is an error already. */
  readonly entry: RouteEntry | undefined;
  /** Ends the request with this answer, unless a hook up to stage protect answers (a CORS preflight, say). */
  readonly refusal: GatewayError | undefined;
}

/** Carries one request to its end. */
export class Run implements ForwardHandler, Walk {
  readonly exchange: ExchangeState;
  readonly log: Logger;
  reached = -1;
  readonly #start: RunStart;
  #chain: Chain;
  #forward: Forward | undefined;
  #sentMs = 0;
  #phase: 'request' | 'response' | 'streaming' | 'over' = 'request';
  #isWaiting = false;
  #held: Uint8Array[] = [];
  #hasEnded = false;

  constructor(start: RunStart) {
    this.#start = start;
    this.#chain = start.chain;
    this.exchange = start.exchange;
    this.log = start.context.ports.log;
    start.outgoing.onClose((isComplete) => this.#finish(isComplete));
  }

  get isSettled(): boolean {
    return this.#phase === 'streaming' || this.#phase === 'over';
  }

  /** Begins the walk. Never throws. */
  begin(): void {
    this.#guard(() => this.#walkRequest());
  }

  #walkRequest(): MaybePromise<void> {
    const { refusal } = this.#start;
    const { request, protectEnd, authenticateEnd } = this.#chain;
    return then(runSteps(this, request, 0, refusal ? protectEnd : authenticateEnd), () => {
      if (this.isSettled) return undefined;
      if (this.exchange.answer) return this.#answer(this.exchange.answer);
      if (refusal) throw refusal;
      return this.#walkIdentified();
    });
  }

  #walkIdentified(): MaybePromise<void> {
    const { lease, entry } = this.#start;
    const { consumer } = this.exchange;
    if (consumer && entry) {
      this.#chain = findConsumerChain(lease.snapshot, entry, consumer);
    }
    const { request, authenticateEnd } = this.#chain;
    return then(runSteps(this, request, authenticateEnd, request.length), () => {
      if (this.isSettled) return undefined;
      if (this.exchange.answer) return this.#answer(this.exchange.answer);
      this.reached = Number.MAX_SAFE_INTEGER;
      const { upstream } = this.#chain;
      return then(runSteps(this, upstream, 0, upstream.length), () => {
        // `runSteps` notes the last step it ran; from here on every instance has been reached.
        this.reached = Number.MAX_SAFE_INTEGER;
        if (this.exchange.answer) return this.#answer(this.exchange.answer);
        return then(this.exchange.request.release(), () => this.#send());
      });
    });
  }

  #send(): void {
    if (this.isSettled) return;
    const { context, entry, incoming } = this.#start;
    const destination = entry && context.upstreams.find(entry.api);
    if (!entry || !destination) throw new GatewayError('NO_HEALTHY_TARGET', 'the upstream of this api does not exist');
    const { client } = this.#start;
    const { exchange } = this;
    const { ports } = context;
    const body = buildOutgoingBody(this, this.#chain, incoming.body, (error) => this.#fail(error));
    const request = buildForwardRequest({ exchange, incoming, client, entry, destination }, body);
    this.#sentMs = ports.clock.monotonicMs();
    this.#forward = new Forward(ports.upstream, ports.clock, request, this);
    this.#forward.start();
  }

  onTry(target: TargetState): void {
    const { tally } = this.exchange;
    tally.tries++;
    tally.target = `${target.host}:${target.port}`;
  }

  onHead(status: number, rawHeaders: readonly string[]): void {
    this.exchange.tally.upstreamMs = this.#start.context.ports.clock.monotonicMs() - this.#sentMs;
    this.#guard(() => {
      const { headers, length } = readResponseHeaders(rawHeaders);
      headers.append('Via', '1.1 sallyport');
      this.exchange.response = { status, headers, source: 'upstream', body: undefined };
      const bodyLength = this.#chain.responseChunk.length > 0 ? undefined : length;
      return this.#walkResponse(() => this.#writeUpstreamHead(bodyLength));
    });
  }

  #writeUpstreamHead(length: number | undefined): void {
    const { response } = this.exchange;
    if (!response || this.#phase === 'over') return;
    if (response.source === 'gateway') {
      // A response hook replaced the answer, so the upstream's is of no use any more.
      this.#forward?.abort();
      this.#writeOwn(response.body ?? NO_BYTES);
      return;
    }
    this.#writeHead(response, length);
    for (const chunk of this.#held.splice(0)) this.#writeChunk(chunk);
    if (this.#hasEnded) this.onEnd();
    else this.#forward?.resume();
  }

  #writeHead({ status, headers }: ResponseState, length: number | undefined): void {
    // Anything else a plugin may set is no end of an exchange: a client would wait for another head after a 1xx.
    if (!Number.isInteger(status) || status < 200 || status > 999) {
      throw new GatewayError('PLUGIN_FAILED', 'a plugin set a status that no response can have');
    }
    const lines: string[] = [];
    headers.writeTo(lines);
    this.#start.outgoing.writeHead(status, lines, length);
    this.#phase = 'streaming';
  }

  onChunk(chunk: Uint8Array): boolean {
    if (this.#isWaiting) {
      this.#held.push(chunk);
      return false;
    }
    return this.#writeChunk(chunk);
  }

  #writeChunk(chunk: Uint8Array): boolean {
    if (this.#phase === 'over') return true;
    const { outgoing } = this.#start;
    const passed = this.#passChunk(chunk, false);
    if (!passed || passed.length === 0) return true;
    this.exchange.tally.responseBytes += passed.length;
    const mayGoOn = outgoing.write(passed);
    if (!mayGoOn) outgoing.onDrain(() => this.#forward?.resume());
    return mayGoOn;
  }

  #passChunk(chunk: Uint8Array, last: boolean): Uint8Array | null {
    const steps = this.#chain.responseChunk;
    if (steps.length === 0) return chunk;
    try {
      return runChunkSteps(this, steps, chunk, last);
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  onEnd(): void {
    if (this.#isWaiting) {
      this.#hasEnded = true;
      return;
    }
    const { outgoing } = this.#start;
    if (this.#chain.responseChunk.length > 0) {
      const last = this.#passChunk(NO_BYTES, true);
      if (last && last.length > 0) outgoing.write(last);
    }
    if (this.#phase !== 'over') outgoing.end();
  }

  onError(error: GatewayError): void {
    this.#fail(error);
  }

  #walkResponse(done: () => void): MaybePromise<void> {
    this.#phase = 'response';
    this.exchange.answer = undefined;
    const waiting = runResponseSteps(this, this.#chain.response, 0, () => this.#replace());
    if (!waiting) {
      done();
      return undefined;
    }
    this.#isWaiting = true;
    return waiting.then(() => {
      // The upstream broke off meanwhile, and that was the answer.
      if (this.isSettled) return;
      this.#isWaiting = false;
      done();
    });
  }

  #replace(): void {
    const { answer } = this.exchange;
    this.exchange.answer = undefined;
    if (answer) this.exchange.response = { ...answer, source: 'gateway' };
  }

  #answer(answer: OwnAnswer): MaybePromise<void> {
    if (this.#phase === 'over') return undefined;
    this.exchange.response = { ...answer, source: 'gateway' };
    return this.#walkResponse(() => this.#writeOwn(this.exchange.response?.body ?? NO_BYTES));
  }

  #writeOwn(body: Uint8Array): void {
    const { response, tally } = this.exchange;
    if (!response || this.#phase === 'over') return;
    const { outgoing, incoming } = this.#start;
    incoming.body?.discard();
    this.#writeHead(response, body.length);
    if (body.length > 0 && incoming.method !== 'HEAD') {
      tally.responseBytes += body.length;
      outgoing.write(body);
    }
    outgoing.end();
  }

  /** Runs a part of the walk; whatever it throws, now or later, becomes an answer. */
  #guard(part: () => MaybePromise<void>): void {
    try {
      const waiting = part();
      if (waiting) waiting.catch((error: unknown) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#phase === 'over') return;
    const known = toGatewayError(error, this.log, this.exchange.id);
    this.exchange.tally.errorCode ??= known.code;
    this.#forward?.abort();
    this.#isWaiting = false;
    if (this.#phase === 'streaming') {
      this.#abort(known);
      return;
    }
    const answer = buildProblem(known, this.exchange.id);
    // A response hook that fails must not be asked about the answer to its own failure.
    if (this.#phase === 'response') {
      this.exchange.response = { ...answer, source: 'gateway' };
      this.#writeOwn(answer.body);
      return;
    }
    this.#guard(() => this.#answer(answer));
  }

  #abort(error: GatewayError): void {
    this.exchange.tally.errorCode ??= error.code;
    this.#start.outgoing.abort();
  }

  #finish(isComplete: boolean): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    const { incoming, beganMs, context, lease } = this.#start;
    this.#forward?.abort();
    const { tally } = this.exchange;
    tally.isComplete = isComplete;
    tally.requestBytes = incoming.body?.bytesRead ?? 0;
    tally.totalMs = context.ports.clock.monotonicMs() - beganMs;
    runLogSteps(this, this.#chain.log);
    context.count(this.exchange.response?.status ?? 0);
    lease.release();
  }
}

function then(waiting: MaybePromise<void>, next: () => MaybePromise<void>): MaybePromise<void> {
  return waiting ? waiting.then(next) : next();
}
