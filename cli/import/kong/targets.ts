// Decides what an api sends to: a URL, or an upstream that is made of Kong's upstream, the protocol and the TLS of a service.
// Must not translate health checks: that is health.ts.
import { Fields } from '../source.ts';
import { type KongImport, readTags, SERVER_SET } from './context.ts';
import type { Entity } from './entities.ts';
import { hasActiveChecks, translateHealthChecks } from './health.ts';
import type { Target } from './services.ts';

/** The same on both sides. */
const ALGORITHMS: ReadonlySet<string> = new Set(['round-robin', 'least-connections']);
/** Of an upstream: of its ring, and of what is hashed, which only matters with the algorithm that hashes. */
const RING_FIELDS = /^(slots|hash_.*|sticky_sessions_.*)$/;
const DEFAULT_TARGET_PORT = 8000;

/** Is TLS toward targets as an upstream has it; undefined = nothing but the defaults. */
export type Tls = Record<string, unknown> | undefined;

/** Is what an api sends to, and the hosts that it reaches. */
export interface Chosen {
  readonly upstream: string | { readonly name: string };
  readonly reach: ReadonlySet<string>;
}

interface TlsOptions {
  /** Whether the service speaks TLS at all. */
  readonly isUsed: boolean;
  readonly troubles: string[];
  readonly notes: string[];
}

/** Reads how a service verifies its targets and what it shows them. */
export function readTls(kong: KongImport, fields: Fields, { isUsed, troubles, notes }: TlsOptions): Tls {
  const verify = fields.flag('tls_verify');
  const depth = fields.number('tls_verify_depth');
  const authorities = fields.texts('ca_certificates') ?? [];
  const shown = fields.get('client_certificate');
  if (!isUsed) return undefined;
  if (verify === undefined)
    notes.push("Kong's default is not to verify the upstream's certificate; here it is verified");
  if (depth !== undefined && verify === true) notes.push('tls_verify_depth has no counterpart');
  const tls: Record<string, unknown> = verify === false ? { verify } : {};
  if (authorities.length > 0) {
    const found = authorities.map((ref) => kong.entities.find('ca_certificates', ref)?.value['cert']);
    if (found.every((pem) => typeof pem === 'string')) tls['ca'] = found.map((pem) => pem.trim()).join('\n');
    else troubles.push('a certificate of ca_certificates is not in the file');
  }
  if (shown !== undefined) {
    const entity = kong.entities.find('certificates', shown);
    const name = entity === undefined ? undefined : kong.certificates.get(entity);
    if (name === undefined) troubles.push('its client_certificate is not in the file, or was left out');
    else tls['clientCertificate'] = { name };
  }
  return Object.keys(tls).length === 0 ? undefined : tls;
}

/** Chooses a URL where that is enough, else makes an upstream. */
export function chooseUpstream(
  kong: KongImport,
  { target, tls, troubles }: { readonly target: Target; readonly tls: Tls; readonly troubles: string[] },
): Chosen {
  const named = kong.upstreamsByName.get(target.host);
  const targets = named === undefined ? [{ ...target, weight: 100 }] : readTargets(kong, named);
  const reach = new Set([target.host, ...targets.map(({ host }) => host)]);
  const [only] = targets;
  const isPlain = tls === undefined && targets.length === 1 && (named === undefined || target.path !== '');
  if (isPlain && only !== undefined && only.weight > 0 && !(named !== undefined && hasActiveChecks(named))) {
    const host = only.host.includes(':') ? `[${only.host}]` : only.host;
    return { upstream: `${target.protocol}://${host}:${only.port}${target.path}`, reach };
  }
  if (target.path !== '') {
    troubles.push(
      `the path ${target.path} of a service cannot stand before an upstream with several targets, checks or TLS`,
    );
  }
  if (named !== undefined) troubles.push(...findTroubles(named));
  const key = JSON.stringify([named?.place ?? [target.host, target.port], target.protocol, tls]);
  const known = kong.upstreams.get(key);
  if (known !== undefined) return { upstream: { name: known }, reach };
  const name = kong.upstreamNames.claim(String(named?.value['name'] ?? target.host), target.host);
  kong.upstreams.set(key, name);
  const value: Record<string, unknown> = {
    name,
    protocol: target.protocol,
    targets: targets.map(({ host, port, weight }) => ({ host, port, weight })),
    ...(named === undefined ? { healthChecks: { passive: { failures: 0 } } } : describe(kong, named)),
    ...(tls === undefined ? {} : { tls: { ...tls } }),
  };
  kong.draft.upstreams.push({ place: named?.place ?? `upstream of ${target.host}`, value });
  return { upstream: { name }, reach };
}

interface PlacedTarget {
  readonly host: string;
  readonly port: number;
  readonly weight: number;
}

function readTargets(kong: KongImport, upstream: Entity): readonly PlacedTarget[] {
  const own = kong.entities.below(upstream, 'targets');
  return own.flatMap(({ value, place }) => {
    const fields = new Fields(value, place);
    fields.skip(...SERVER_SET, 'tags', 'upstream');
    const text = fields.text('target') ?? '';
    const weight = fields.number('weight') ?? 100;
    for (const key of fields.listUnasked()) kong.draft.note(place, `there is no counterpart of ${key}`);
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
    const host = bracketed ?? plain ?? text;
    return [{ host: host.toLowerCase(), port: port === undefined ? DEFAULT_TARGET_PORT : Number(port), weight }];
  });
}

function findTroubles({ value }: Entity): readonly string[] {
  const algorithm = String(value['algorithm'] ?? 'round-robin');
  const hash = String(value['hash_on'] ?? 'none');
  const troubles: string[] = [];
  if (!ALGORITHMS.has(algorithm) || hash !== 'none') {
    troubles.push(
      `its upstream balances by ${hash === 'none' ? algorithm : `a hash of ${hash}`}, which has no counterpart`,
    );
  }
  if (value['host_header'] !== undefined && value['host_header'] !== null) {
    troubles.push('its upstream sets host_header; here targets get their own name, or the one that the client sent');
  }
  return troubles;
}

function describe(kong: KongImport, entity: Entity): Record<string, unknown> {
  const fields = new Fields(entity.value, entity.place);
  fields.skip(...SERVER_SET, 'name', 'targets', 'tags', 'host_header');
  const algorithm = fields.text('algorithm') ?? 'round-robin';
  const loadBalancing = ALGORITHMS.has(algorithm) ? algorithm : 'round-robin';
  const healthChecks = translateHealthChecks(fields.below('healthchecks'), (message) =>
    kong.draft.note(entity.place, message),
  );
  if (fields.get('client_certificate') !== undefined) {
    kong.draft.note(entity.place, 'client_certificate of an upstream is left out; give it to the service');
  }
  fields.skip('use_srv_name');
  for (const key of fields.listUnasked().filter((one) => !RING_FIELDS.test(one))) {
    kong.draft.note(entity.place, `there is no counterpart of ${key}`);
  }
  return { loadBalancing, healthChecks, ...readTags(kong, entity) };
}
