// The life of one request: route, walk the hooks, forward, stream back, log. One object per request.
// Must not hold what outlives the request.
import { GatewayError } from '../errors.ts';
import type { Chain } from '../hooks/chain.ts';
import type { HookWatch } from '../hooks/watch.ts';
import {
  after,
  runChunkSteps,
  runLogSteps,
  runResponseSteps,
  runSteps,
  runUpstreamSteps,
  type Walk,
} from '../pipeline.ts';
import type { Logger, MaybePromise } from '../plugin.ts';
import type { BodySource, Tunnel, UpstreamProtocol } from '../ports.ts';
import { findConsumerChain } from '../snapshot.ts';
import type { TargetState } from '../upstream/balancer.ts';
import { Forward, type ForwardHandler } from '../upstream/forward.ts';
import { breakOff, buildError, toGatewayError } from './answers.ts';
import { ChunkPipe } from './chunk-pipe.ts';
import { type ExchangeState, NO_BYTES, type OwnAnswer, type ResponseState } from './exchange.ts';
import { readResponseHeaders } from './headers.ts';
import { buildForwardRequest, buildOutgoingBody, takeForward } from './outbound.ts';
import type { RunStart } from './receive.ts';
import { takeResponse, writeResponseHead } from './response-head.ts';
import { readTrailers } from './trailers.ts';
import { findProtocol, splice } from './tunnel.ts';

/** Carries one request to its end. */
export class Run implements ForwardHandler, Walk {
  readonly exchange: ExchangeState;
  readonly log: Logger;
  readonly watch: HookWatch;
  reached = -1;
  readonly #start: RunStart;
  #chain: Chain;
  #forward: Forward | undefined;
  #sentMs = 0;
  #phase: 'request' | 'response' | 'streaming' | 'over' = 'request';
  /** Between upstream and client, where hooks take their time or change what passes. */
  #pipe: ChunkPipe | undefined;
  /** Bytes of the upstream's body, when they are known and stay as many. */
  #bodyLength: number | undefined;
  #isBroken = false;

  constructor(start: RunStart) {
    this.#start = start;
    this.#chain = start.chain;
    this.exchange = start.exchange;
    this.log = start.context.ports.log;
    this.watch = start.context.watch;
    start.outgoing.onClose((isComplete) => this.#finish(isComplete));
  }

  get isSettled(): boolean {
    return this.#phase === 'streaming' || this.#phase === 'over';
  }

  /** Begins the walk. Never throws. */
  begin(): void {
    this.#guard(this.#walkRequest);
  }

  #walkRequest(): MaybePromise<void> {
    const { request, protectEnd, authenticateEnd } = this.#chain;
    const end = this.#start.refusal ? protectEnd : authenticateEnd;
    return after(this, runSteps(this, request, 0, end), this.#walkIdentified);
  }

  #walkIdentified(): MaybePromise<void> {
    if (this.exchange.answer) return this.#answer(this.exchange.answer);
    const { lease, entry, refusal } = this.#start;
    if (refusal) throw refusal;
    const { consumer } = this.exchange;
    if (consumer && entry) this.#chain = findConsumerChain(lease.snapshot, entry, consumer);
    const { request, authenticateEnd } = this.#chain;
    return after(this, runSteps(this, request, authenticateEnd, request.length), this.#walkUpstream);
  }

  #walkUpstream(): MaybePromise<void> {
    if (this.exchange.answer) return this.#answer(this.exchange.answer);
    return after(this, runUpstreamSteps(this, this.#chain), this.#leave);
  }

  #leave(): MaybePromise<void> {
    // `runSteps` notes the last step it ran; from here on every instance has been reached.
    this.reached = Number.MAX_SAFE_INTEGER;
    if (!this.exchange.answer && !takeForward(this.exchange.request)) this.exchange.respond(200);
    if (this.exchange.answer) return this.#answer(this.exchange.answer);
    return after(this, this.exchange.request.release(), this.#send);
  }

  #send(): MaybePromise<void> {
    const body = buildOutgoingBody(this, this.#chain, this.#start.incoming.body);
    return body instanceof Promise ? body.then((bytes) => this.#sendWith(bytes)) : this.#sendWith(body);
  }

  #sendWith(body: Uint8Array | BodySource | undefined): void {
    if (this.isSettled) return;
    const { context, entry, incoming, client, beganMs } = this.#start;
    const destination = entry && context.upstreams.find(entry);
    if (!entry || !destination) throw new GatewayError('NO_HEALTHY_TARGET', 'the upstream of this api does not exist');
    const request = buildForwardRequest(
      { exchange: this.exchange, incoming, client, entry, destination, beganMs, clock: context.ports.clock },
      body,
    );
    this.#sentMs = context.ports.clock.monotonicMs();
    this.#forward = new Forward(context.ports.upstream, context.ports.clock, request, this);
    this.#forward.start(this.#sentMs);
  }

  onTry(target: TargetState): void {
    const { tally } = this.exchange;
    tally.tries++;
    tally.target = target.name;
  }

  onInformational(status: number, rawHeaders: readonly string[]): void {
    if (this.#phase !== 'request') return;
    this.#start.outgoing.writeInformational(status, readResponseHeaders(rawHeaders).headers.lines);
  }

  onHead(status: number, rawHeaders: readonly string[], protocol: UpstreamProtocol): void {
    try {
      const length = takeResponse(this.#start, this.#sentMs, { status, rawHeaders, protocol });
      this.#bodyLength = this.#chain.responseChunk.length > 0 ? undefined : length;
      this.#await(this.#walkResponse(this.#writeUpstreamHead));
    } catch (error) {
      this.onError(error);
    }
  }

  onUpgrade(rawHeaders: readonly string[], tunnel: Tunnel): void {
    this.#guard(() => {
      takeResponse(this.#start, this.#sentMs, { status: 101, rawHeaders, protocol: 'http' });
      const protocol = findProtocol(rawHeaders, this.#start.incoming.upgrade ?? '');
      return this.#walkResponse(() => this.#switch(protocol, tunnel));
    });
  }

  #switch(protocol: string, tunnel: Tunnel): void {
    const { response, tally } = this.exchange;
    if (!response || this.#phase === 'over' || this.#hasReplaced(response)) return;
    this.#phase = 'streaming';
    const lines = [...response.headers.lines, 'Upgrade', protocol];
    splice(this.#start.outgoing.switchProtocols(lines), tunnel, tally);
  }

  /** Sends what a response hook put in the place of the upstream's answer, if one did: that is of no use any more. */
  #hasReplaced(response: ResponseState): boolean {
    if (response.source !== 'gateway') return false;
    this.halt();
    this.#writeOwn(response.body ?? NO_BYTES);
    return true;
  }

  #writeUpstreamHead(): void {
    const { response } = this.exchange;
    if (!response || this.#phase === 'over' || this.#hasReplaced(response)) return;
    writeResponseHead(this.#start.outgoing, response, this.#bodyLength, this.exchange.httpVersion);
    this.#phase = 'streaming';
    if (this.#pipe) this.#pipe.release();
    else this.#forward?.resume();
  }

  onChunk(chunk: Uint8Array): boolean {
    // What goes through hooks is theirs to keep, and waits for them.
    return this.#pipe ? this.#pipe.write(Buffer.from(chunk)) : this.#writeChunk(chunk);
  }

  #writeChunk(chunk: Uint8Array): boolean {
    if (this.#phase === 'over') return true;
    const { outgoing } = this.#start;
    this.exchange.tally.responseBytes += chunk.length;
    const mayGoOn = outgoing.write(chunk);
    if (!mayGoOn) outgoing.onDrain(() => (this.#pipe ?? this.#forward)?.resume());
    return mayGoOn;
  }

  onEnd(trailers?: readonly string[]): void {
    if (this.#pipe) this.#pipe.end(trailers);
    else this.#writeEnd(trailers);
  }

  #writeEnd(trailers: readonly string[] | undefined): void {
    if (this.#phase !== 'over') this.#start.outgoing.end(trailers && readTrailers(trailers));
  }

  /** Puts a pipe before the client, which holds what comes until `release`. */
  #openPipe(): void {
    const steps = this.#chain.responseChunk;
    this.#pipe ??= new ChunkPipe(
      {
        transform: steps.length === 0 ? undefined : (chunk, last) => runChunkSteps(this, steps, chunk, last),
        write: (chunk) => this.#writeChunk(chunk),
        end: (trailers) => this.#writeEnd(trailers),
        resume: () => this.#forward?.resume(),
        onFailure: (error) => this.onError(error),
      },
      true,
    );
  }

  #walkResponse(done: (this: Run) => void): MaybePromise<void> {
    this.#phase = 'response';
    this.exchange.answer = undefined;
    if (this.#chain.responseChunk.length > 0) this.#openPipe();
    const waiting = runResponseSteps(this, this.#chain.response);
    if (waiting) this.#openPipe();
    return after(this, waiting, done);
  }

  #answer(answer: OwnAnswer): MaybePromise<void> {
    if (this.#phase === 'over') return undefined;
    this.exchange.setOwnResponse(answer);
    return this.#walkResponse(() => this.#writeOwn(this.exchange.response?.body ?? NO_BYTES));
  }

  #writeOwn(body: Uint8Array): void {
    const { response, tally } = this.exchange;
    if (!response || this.#phase === 'over') return;
    const { outgoing, incoming } = this.#start;
    incoming.body?.discard();
    // A length would say that a body was meant to come: in a call of gRPC its end goes with the head.
    writeResponseHead(outgoing, response, this.exchange.isGrpc ? undefined : body.length, this.exchange.httpVersion);
    this.#phase = 'streaming';
    if (body.length > 0 && incoming.method !== 'HEAD') {
      tally.responseBytes += body.length;
      outgoing.write(body);
    }
    outgoing.end();
  }

  /** Runs a part of the walk; whatever it throws, now or later, becomes an answer. */
  #guard(part: (this: Run) => MaybePromise<void>): void {
    try {
      this.#await(part.call(this));
    } catch (error) {
      this.onError(error);
    }
  }

  #await(waiting: MaybePromise<void>): void {
    waiting?.catch((error: unknown) => this.onError(error));
  }

  onError(error: unknown): void {
    if (this.#phase === 'over') return;
    const known = toGatewayError(error, this.log, this.exchange);
    this.exchange.tally.errorCode ??= known.code;
    this.halt();
    if (this.#phase === 'streaming') {
      this.#isBroken = true;
      breakOff(this.#start.outgoing, known, this.exchange.isGrpc);
      return;
    }
    const answer = buildError(known, this.exchange.id, this.exchange.isGrpc);
    // A response hook that fails must not be asked about the answer to its own failure.
    if (this.#phase === 'response') {
      this.exchange.setOwnResponse(answer);
      this.#writeOwn(answer.body);
      return;
    }
    this.#guard(() => this.#answer(answer));
  }

  #finish(isComplete: boolean): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    const { incoming, beganMs, context, lease } = this.#start;
    this.halt();
    const { tally } = this.exchange;
    tally.isComplete = isComplete && !this.#isBroken;
    if (incoming.body) tally.requestBytes = incoming.body.bytesRead;
    tally.totalMs = context.ports.clock.monotonicMs() - beganMs;
    this.#start.recording?.end();
    context.count(this.exchange.response?.status ?? 0);
    runLogSteps(this, this.#chain.log);
    lease.release();
  }

  halt(): void {
    this.#forward?.abort();
    this.#pipe?.close();
  }

  abandon(error: GatewayError): void {
    const { outgoing, lease } = this.#start;
    if (this.#phase === 'over') {
      lease.release();
      outgoing.goOn?.();
    } else {
      // What was read behind the head is lost with the stack: where the next request begins is not known any more.
      outgoing.closeAfter();
      this.onError(error);
    }
  }
}
