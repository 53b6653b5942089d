// Sends one request to an upstream: chooses targets, tries again only when nothing can have been done twice.
// Must not know clients or plugins: it hands head, chunks and end on.
import { type ErrorCode, GatewayError } from '../errors.ts';
import type { HookWatch } from '../hooks/watch.ts';
import type {
  BodySource,
  Clock,
  TargetAddress,
  Tunnel,
  UpstreamCall,
  UpstreamClient,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamProtocol,
} from '../ports.ts';
import type { Balancer, TargetState } from './balancer.ts';

/** Is what is sent. */
export interface ForwardRequest {
  readonly balancer: Balancer;
  readonly method: string;
  /** Path and query as the target gets them. */
  readonly target: string;
  /** Gives the header lines for a target, Host included. */
  headersFor(target: TargetState): readonly string[];
  readonly body: Uint8Array | BodySource | undefined;
  /** Protocols to ask for; undefined = none. */
  readonly upgrade: string | undefined;
  readonly connectMs: number;
  readonly responseMs: number;
  readonly idleMs: number;
  /** Monotonic milliseconds when all of it must be over. */
  readonly deadlineMs: number | undefined;
  readonly retries: number;
}

/** Hears the one answer that counts, after retries. */
export interface ForwardHandler {
  readonly watch: HookWatch;
  /** Is called before each try. */
  onTry(target: TargetState): void;
  onInformational(status: number, rawHeaders: readonly string[]): void;
  onHead(status: number, rawHeaders: readonly string[], protocol: UpstreamProtocol): void;
  onUpgrade(rawHeaders: readonly string[], tunnel: Tunnel): void;
  onChunk(chunk: Uint8Array): boolean;
  onEnd(trailers?: readonly string[]): void;
  /** May come after `onHead`. */
  onError(error: GatewayError): void;
}

const CODE_OF_FAILURE: Readonly<Record<UpstreamFailure, ErrorCode>> = {
  'connect-failed': 'UPSTREAM_CONNECT_FAILED',
  'connect-timeout': 'UPSTREAM_TIMEOUT',
  'reset-before-response': 'UPSTREAM_BROKEN',
  'not-sent': 'UPSTREAM_BROKEN',
  'response-timeout': 'UPSTREAM_TIMEOUT',
  'idle-timeout': 'UPSTREAM_TIMEOUT',
  'deadline-exceeded': 'UPSTREAM_TIMEOUT',
  'broken-response': 'UPSTREAM_BROKEN',
  'invalid-response': 'UPSTREAM_INVALID_RESPONSE',
  'request-aborted': 'REQUEST_MALFORMED',
  'invalid-request': 'INTERNAL',
  refused: 'NO_HEALTHY_TARGET',
  overloaded: 'NO_HEALTHY_TARGET',
};

const DETAIL_OF_FAILURE: Readonly<Record<UpstreamFailure, string>> = {
  'connect-failed': 'no connection to the upstream could be opened',
  'connect-timeout': 'connecting to the upstream took too long',
  'reset-before-response': 'the upstream closed the connection before it answered',
  'not-sent': 'the upstream closed the connection before it was asked',
  'response-timeout': 'the upstream did not answer in time',
  'idle-timeout': 'the upstream fell silent',
  'deadline-exceeded': 'the request took too long in all',
  'broken-response': 'the upstream broke off its response',
  'invalid-response': 'the upstream sent something that is not a valid HTTP response',
  'request-aborted': 'the request body broke off',
  'invalid-request': 'the request could not be written',
  refused: 'the upstream takes no more requests at the moment',
  overloaded: 'no connection to the upstream is free',
};

// What says nothing about the target: who asks for an answer within a millisecond must not be able to have it ejected.
const NO_FAULTS: ReadonlySet<UpstreamFailure> = new Set([
  'invalid-request',
  'overloaded',
  'refused',
  'deadline-exceeded',
]);

// RFC 9110 section 9.2.2.
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Sends one request, with retries. */
export class Forward implements UpstreamHandler {
  readonly #client: UpstreamClient;
  readonly #clock: Clock;
  readonly #request: ForwardRequest;
  readonly #handler: ForwardHandler;
  #tried: TargetState[] = [];
  #target: TargetState | undefined;
  #call: UpstreamCall | undefined;
  #wasStale = false;
  #hasHead = false;
  #isOver = false;

  constructor(client: UpstreamClient, clock: Clock, request: ForwardRequest, handler: ForwardHandler) {
    this.#client = client;
    this.#clock = clock;
    this.#request = request;
    this.#handler = handler;
  }

  /** Begins the first try, or the next. */
  start(nowMs: number): void {
    const request = this.#request;
    if (request.deadlineMs !== undefined && nowMs >= request.deadlineMs) {
      this.#isOver = true;
      const code = CODE_OF_FAILURE['deadline-exceeded'];
      this.#handler.onError(new GatewayError(code, DETAIL_OF_FAILURE['deadline-exceeded']));
      return;
    }
    const target = request.balancer.choose(this.#tried, nowMs);
    if (!target) {
      this.#isOver = true;
      this.#handler.onError(new GatewayError('NO_HEALTHY_TARGET', 'no target of the upstream is healthy'));
      return;
    }
    this.#target = target;
    // A list begun with `push` has room for sixteen more.
    if (this.#tried.length === 0) this.#tried = [target];
    else this.#tried.push(target);
    target.inFlight++;
    this.#handler.onTry(target);
    this.#call = this.#client.send(
      addressOf(target, request.connectMs),
      {
        method: request.method,
        target: request.target,
        headers: request.headersFor(target),
        body: request.body,
        responseMs: request.responseMs,
        idleMs: request.idleMs,
        deadlineMs: request.deadlineMs,
        upgrade: request.upgrade,
        isRetry: this.#wasStale,
      },
      this,
    );
  }

  resume(): void {
    this.#call?.resume();
  }

  /** Gives up: the client left, or another answer was given. Closes the connection. */
  abort(): void {
    if (this.#isOver) return;
    this.#release();
    this.#call?.abort();
  }

  onInformational(status: number, rawHeaders: readonly string[]): void {
    if (this.#isBeyond()) return;
    // Part of an answer is out: another target's must not follow it.
    this.#hasHead = true;
    this.#handler.onInformational(status, rawHeaders);
  }

  onHead(status: number, rawHeaders: readonly string[]): void {
    if (this.#isBeyond()) return;
    this.#answered();
    this.#handler.onHead(status, rawHeaders, this.#target?.protocol ?? 'http');
  }

  onUpgrade(rawHeaders: readonly string[], tunnel: Tunnel): void {
    if (this.#isBeyond()) return;
    this.#answered();
    this.#handler.onUpgrade(rawHeaders, tunnel);
  }

  #answered(): void {
    this.#hasHead = true;
    if (this.#target) this.#request.balancer.reportSuccess(this.#target);
  }

  onChunk(chunk: Uint8Array): boolean {
    return this.#isBeyond() || this.#handler.onChunk(chunk);
  }

  onEnd(trailers?: readonly string[]): void {
    if (this.#isBeyond()) return;
    this.#release();
    this.#handler.onEnd(trailers);
  }

  onError(failure: UpstreamFailure, cause: Error, wasReused: boolean): void {
    if (this.#isBeyond()) return;
    const { balancer } = this.#request;
    const isClientFault = failure === 'request-aborted';
    const isTargetFault = !isClientFault && !NO_FAULTS.has(failure);
    // A connection that idled and was closed meanwhile says nothing about the target's health.
    const isStale = failure === 'not-sent' || (failure === 'reset-before-response' && wasReused);
    const nowMs = this.#clock.monotonicMs();
    if (this.#target && isTargetFault && !isStale) balancer.reportFailure(this.#target, nowMs);
    this.#release();
    if (isStale ? this.#mayRetryStale(failure) : this.#mayRetry(failure)) {
      this.#isOver = false;
      this.start(nowMs);
      return;
    }
    // A stalled request body says so itself.
    const isKnown = isClientFault && cause instanceof GatewayError;
    const error = isKnown ? cause : new GatewayError(CODE_OF_FAILURE[failure], DETAIL_OF_FAILURE[failure], { cause });
    this.#handler.onError(error);
  }

  #mayRetry(failure: UpstreamFailure): boolean {
    const { body, retries, balancer } = this.#request;
    if (this.#hasHead || this.#tried.length > retries) return false;
    if (failure === 'connect-failed' || failure === 'connect-timeout' || failure === 'refused') {
      const isUntouched = body === undefined || body instanceof Uint8Array || body.bytesRead === 0;
      return isUntouched && balancer.takeRetry();
    }
    return failure === 'reset-before-response' && this.#isRepeatable() && balancer.takeRetry();
  }

  /**
   * Closing an idle connection at the moment of its reuse is no fault and no sign of load: it takes nothing from the
   * budget, and as the next connection is a new one it happens once.
   */
  #mayRetryStale(failure: UpstreamFailure): boolean {
    if (this.#wasStale || this.#hasHead || this.#request.retries === 0) return false;
    // What has not left cannot be done twice, whatever it is.
    if (failure === 'not-sent' ? !this.#isAtHand() : !this.#isRepeatable()) return false;
    this.#wasStale = true;
    this.#tried.pop();
    return true;
  }

  /** The request may have reached the target: only what can safely be done twice is sent again. */
  #isRepeatable(): boolean {
    return IDEMPOTENT.has(this.#request.method) && this.#isAtHand();
  }

  /** All of the request is here, and can be sent again. */
  #isAtHand(): boolean {
    const { body } = this.#request;
    return body === undefined || body instanceof Uint8Array;
  }

  /** Says that what comes is of no use. The hook that heard the last of it may have been cut: then it is halted first. */
  #isBeyond(): boolean {
    const { watch } = this.#handler;
    if (watch.isCutting) watch.settle();
    return this.#isOver;
  }

  #release(): void {
    this.#isOver = true;
    if (this.#target) this.#target.inFlight--;
    this.#target = undefined;
  }
}

/** Gives the same object for the same address each time: the client keeps its connections by it. */
function addressOf(target: TargetState, connectMs: number): TargetAddress {
  const known = target.addresses.get(connectMs);
  if (known) return known;
  const { protocol, host, port, tls } = target;
  const address = { protocol, host, port, tls, connectMs };
  target.addresses.set(connectMs, address);
  return address;
}
