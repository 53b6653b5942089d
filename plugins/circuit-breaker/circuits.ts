// The circuits of one binding, and what is told of them.
// Must not judge an exchange: that is the handler's.
import { type Counter, type Exchange, GatewayError, type Host, type MetricFamily } from 'sallyport/plugin';
import { Circuit, type CircuitOptions, type Turn } from './circuit.ts';

/** Says what has a circuit of its own. */
export type Owner = 'api' | 'route';

/** Circuits at hand; past that, those go of which there is nothing to remember. */
const MAX_CIRCUITS = 20_000;

/** Owns the circuits of one binding on one worker. */
export class Circuits {
  readonly #host: Host;
  readonly #by: Owner;
  readonly #options: CircuitOptions;
  readonly #circuits: Map<string, Circuit> = new Map();
  /** By seconds to wait. One for all requests: a flood must not pay for stack traces. */
  readonly #refusals: Map<number, GatewayError> = new Map();
  readonly #turned: MetricFamily<Counter>;
  readonly #refused: MetricFamily<Counter>;

  constructor(host: Host, by: Owner, options: CircuitOptions) {
    this.#host = host;
    this.#by = by;
    this.#options = options;
    const { metrics } = host;
    const labels = ['api', 'route'];
    this.#turned = metrics.counter('sallyport_circuit_turns_total', 'Circuits that opened or closed.', [
      ...labels,
      'state',
    ]);
    this.#refused = metrics.counter('sallyport_circuit_refused_total', 'Requests that met an open circuit.', labels);
  }

  /** Finds the circuit of an exchange, or makes it. */
  find({ api, route }: Exchange, nowMs: number): Circuit {
    const key = this.#by === 'route' ? route.id : api.id;
    const found = this.#circuits.get(key);
    if (found) return found;
    if (this.#circuits.size >= MAX_CIRCUITS) {
      for (const [other, circuit] of this.#circuits) if (circuit.isAtRest(nowMs)) this.#circuits.delete(other);
    }
    const made = new Circuit(this.#options);
    this.#circuits.set(key, made);
    return made;
  }

  /** Counts a request that met an open circuit, and gives what it is answered. */
  refuse(exchange: Exchange, waitMs: number): GatewayError {
    this.#refused.series(exchange.api.name, this.#nameRoute(exchange)).add(1);
    const seconds = Math.ceil(waitMs / 1_000);
    const known = this.#refusals.get(seconds);
    if (known) return known;
    const detail = 'the upstream failed too often and is given time to recover';
    const made = new GatewayError('CIRCUIT_OPEN', detail, { headers: { 'retry-after': String(seconds) } });
    this.#refusals.set(seconds, made);
    return made;
  }

  /** Tells that a circuit opened or closed. */
  tell(exchange: Exchange, turn: Turn): void {
    const [api, route] = [exchange.api.name, this.#nameRoute(exchange)];
    this.#turned.series(api, route, turn.state).add(1);
    const fields = { api, ...(route && { route }), ...turn };
    if (turn.state === 'open') this.#host.log.warn('a circuit opened: the upstream fails or is slow', fields);
    else this.#host.log.info('a circuit closed: the upstream answers again', fields);
  }

  #nameRoute({ route }: Exchange): string {
    return this.#by === 'route' ? route.name : '';
  }
}
