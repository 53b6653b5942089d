// Keeps some requests of the apis that ask for it, redacted, until somebody fetches them.
// Must not keep anything of a request that is not chosen, and no secret of one that is.
import type { Clock, Exchange, HeaderFields } from '../core/plugin.ts';
import type { Recorder, Recording } from '../core/ports.ts';
import type { RecordedRequest } from '../core/shadow/recorded.ts';
import { redactLines, redactPath, redactQuery } from '../core/shadow/redact.ts';

/** How long the first of a batch waits for others. */
const DELIVERY_MS = 1_000;
/** Most requests that wait for a delivery; beyond, none is chosen. */
const MAX_WAITING = 100;
/** Most lines that are kept of a head. */
const MAX_LINES = 50;
const MAX_NAME_LENGTH = 200;
const MAX_PATH_LENGTH = 2_048;

/** Is a recorder with its end. */
export interface RequestRecorder extends Recorder {
  close(): void;
}

/** Makes a recorder that hands over what it has `deliveryMs` (default a second) after the first. */
export function createRecorder(
  clock: Clock,
  deliver: (requests: readonly RecordedRequest[]) => void,
  deliveryMs: number = DELIVERY_MS,
): RequestRecorder {
  /** By api: the second of the clock, and how many were chosen in it. */
  const chosen = new Map<string, { second: number; count: number }>();
  let waiting: RecordedRequest[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    timer = undefined;
    deliver(waiting);
    waiting = [];
  };
  const keep = (request: RecordedRequest): void => {
    if (waiting.length >= MAX_WAITING) return;
    waiting.push(request);
    timer ??= setTimeout(flush, deliveryMs).unref();
  };
  return {
    begin(exchange, perSecond) {
      const second = Math.floor(clock.monotonicMs() / 1_000);
      const known = chosen.get(exchange.api.id);
      const count = known?.second === second ? known.count : 0;
      if (count >= perSecond || waiting.length >= MAX_WAITING) return undefined;
      chosen.set(exchange.api.id, { second, count: count + 1 });
      return new OpenRecording(exchange, clock.wallMs(), keep);
    },
    close() {
      clearTimeout(timer);
      chosen.clear();
      waiting = [];
    },
  };
}

class OpenRecording implements Recording {
  readonly #exchange: Exchange;
  readonly #keep: (request: RecordedRequest) => void;
  #request: RecordedRequest;

  constructor(exchange: Exchange, atMs: number, keep: (request: RecordedRequest) => void) {
    this.#exchange = exchange;
    this.#keep = keep;
    const { api, route, httpVersion, client, request } = exchange;
    this.#request = {
      ...{ atMs, api, route, httpVersion, scheme: client.scheme },
      method: request.method,
      host: request.host,
      path: redactPath(request.path).slice(0, MAX_PATH_LENGTH),
      query: redactQuery(request.query).slice(0, MAX_PATH_LENGTH),
      headers: cutLines(request.headers),
      hasBody: request.hasBody,
    };
  }

  takeAnswer(status: number, headers: HeaderFields): void {
    this.#request = { ...this.#request, answer: { status, headers: cutLines(headers) } };
  }

  end(): void {
    const { consumer } = this.#exchange;
    const known = consumer && { consumer: { username: consumer.username, groups: consumer.groups } };
    this.#keep({ ...this.#request, ...known });
  }
}

function cutLines(headers: HeaderFields): RecordedRequest['headers'] {
  const lines = headers.entries().slice(0, MAX_LINES);
  return redactLines(lines.filter(([name]) => name.length <= MAX_NAME_LENGTH));
}
