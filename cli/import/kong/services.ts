// Turns Kong's services into apis: where they send, how long they wait, how often they try.
// Must not look at routes or plugins.
import type { ApiDraft } from '../draft.ts';
import { NamePool } from '../names.ts';
import { Fields } from '../source.ts';
import { type KongImport, readTags, SERVER_SET } from './context.ts';
import type { Entity } from './entities.ts';
import { chooseUpstream, readTls } from './targets.ts';

const PROTOCOLS: ReadonlyMap<string, string> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['grpc', 'h2c'],
  ['grpcs', 'h2'],
]);
const DEFAULT_TIMEOUT_MS = 60_000;
const MAX_TIMEOUT_MS = 86_400_000;
const DEFAULT_RETRIES = 5;
const MAX_RETRIES = 5;

/** Is where a service sends. */
export interface Target {
  /** One of ours. */
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  /** Empty, or without a slash at its end. */
  readonly path: string;
}

/** Translates every service. */
export function translateServices(kong: KongImport): void {
  const services = kong.entities.of('services');
  const pool = new NamePool(services.map(({ value }) => String(value['name'])));
  for (const entity of services) translateService(kong, entity, pool);
}

function translateService(kong: KongImport, entity: Entity, pool: NamePool): void {
  const { draft } = kong;
  const fields = new Fields(entity.value, entity.place);
  fields.skip(...SERVER_SET, 'routes', 'plugins', 'tags');
  const given = fields.text('name');
  const target = readTarget(fields);
  const name = pool.claim(given, target?.host ?? 'service');
  if (given !== undefined && name !== given)
    draft.note(entity.place, `its name cannot stay; the api is called ${name}`);
  const troubles: string[] = [];
  const notes: string[] = [];
  const tls = readTls(kong, fields, {
    isUsed: target?.protocol === 'https' || target?.protocol === 'h2',
    troubles,
    notes,
  });
  const chosen = target === undefined ? undefined : chooseUpstream(kong, { target, tls, troubles });
  const api: ApiDraft = {
    place: entity.place,
    name,
    fields: {
      upstream: chosen?.upstream ?? '',
      timeouts: readTimeouts(fields, notes),
      retries: { attempts: readRetries(fields, notes) },
      ...readTags(kong, entity),
    },
    routes: [],
    reach: chosen?.reach ?? new Set(),
    wasEnabled: fields.flag('enabled') ?? true,
    isOff: false,
    hasLostRoutes: false,
  };
  for (const key of fields.listUnasked()) troubles.push(`there is no counterpart of ${key}`);
  kong.apis.set(entity, api);
  for (const message of notes) draft.note(entity.place, message);
  if (target === undefined) {
    api.isOff = true;
    draft.removedApis.push(api);
    draft.note(entity.place, 'left out with its routes: its protocol or address has no counterpart');
    return;
  }
  draft.apis.push(api);
  for (const message of troubles) draft.switchOff([api], entity.place, message);
}

/** Gives where a service sends; undefined when that is no HTTP. */
function readTarget(fields: Fields): Target | undefined {
  const url = fields.text('url');
  if (url !== undefined && !URL.canParse(url)) return undefined;
  const parsed = url === undefined ? undefined : new URL(url);
  // A user in it would go upstream with every request, and here it would not.
  if (parsed !== undefined && parsed.username + parsed.password !== '') return undefined;
  const kongProtocol = parsed?.protocol.slice(0, -1) ?? fields.text('protocol') ?? 'http';
  const protocol = PROTOCOLS.get(kongProtocol);
  const host = parsed?.hostname ?? fields.text('host');
  if (protocol === undefined || host === undefined || host === '') return undefined;
  const urlPort = parsed?.port === '' ? (protocol === 'https' || protocol === 'h2' ? 443 : 80) : Number(parsed?.port);
  // Without a URL it is 80, whatever the protocol: so it is in Kong.
  const port = parsed === undefined ? (fields.number('port') ?? 80) : urlPort;
  const path = (parsed?.pathname ?? fields.text('path') ?? '').replace(/\/+$/, '');
  return { protocol, host: host.replace(/^\[(.*)\]$/, '$1').toLowerCase(), port, path };
}

function readTimeouts(fields: Fields, notes: string[]): Record<string, number> {
  const read = (key: string): number => {
    const given = fields.number(key) ?? DEFAULT_TIMEOUT_MS;
    if (given > MAX_TIMEOUT_MS) notes.push(`${key} is cut to a day`);
    return Math.min(given, MAX_TIMEOUT_MS);
  };
  const [connectMs, writeMs, readMs] = [read('connect_timeout'), read('write_timeout'), read('read_timeout')];
  if (writeMs !== readMs) {
    notes.push(
      `write_timeout and read_timeout differ; silence is bounded by the longer one, ${Math.max(writeMs, readMs)} ms`,
    );
  }
  return { connectMs, responseMs: readMs, idleMs: Math.max(writeMs, readMs) };
}

function readRetries(fields: Fields, notes: string[]): number {
  const given = fields.number('retries') ?? DEFAULT_RETRIES;
  if (given > MAX_RETRIES) notes.push(`retries: ${given} is cut to ${MAX_RETRIES}`);
  return Math.min(given, MAX_RETRIES);
}
