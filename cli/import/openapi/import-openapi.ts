// Makes one api of an OpenAPI document: a route for every path and security, plugins for the security.
// Must not write anything.
import { CommandError } from '../../output.ts';
import { type ApiDraft, ImportDraft, type RouteDraft } from '../draft.ts';
import { isName, NamePool, toSlug } from '../names.ts';
import { isRecord, type Source } from '../source.ts';
import { type OpenapiDocument, type Operation, readOpenapi } from './document.ts';
import { type Demands, readSecurity } from './security.ts';
import { mayShareTemplates, writeTemplate } from './templates.ts';

const MAX_ROUTES = 1000;

/** Says what the call adds to the document. */
export interface OpenapiOptions {
  /** Names the file in complaints. */
  readonly path: string;
  readonly name: string | undefined;
  readonly upstream: string | undefined;
}

/** Is one route: operations of one path that ask the same of a caller. */
interface Part {
  readonly template: string;
  readonly operations: Operation[];
  readonly security: Demands;
  readonly route: RouteDraft;
}

/** Makes the draft. @throws CommandError when it is no OpenAPI document, or says not where to send */
export function importOpenapi(file: Source, options: OpenapiOptions): ImportDraft {
  const draft = new ImportDraft();
  const document = readOpenapi(file, options.path, draft);
  const upstream = chooseUpstream(document, options, draft);
  const api: ApiDraft = {
    place: options.path,
    name: chooseName(document, options),
    fields: { upstream },
    routes: [],
    reach: new Set([upstream]),
    wasEnabled: true,
    isOff: false,
    hasLostRoutes: false,
  };
  draft.apis.push(api);
  const parts = makeRoutes(draft, api, document);
  for (const { place, message } of document.troubles) draft.switchOff([api], place, message);
  for (const { security, operations } of parts) {
    for (const fault of security.faults) draft.switchOff([api], operations[0]?.place ?? options.path, fault);
  }
  compareParts(draft, api, parts);
  bindSecurity(draft, api, parts);
  return draft;
}

function chooseName({ title }: OpenapiDocument, { name, path }: OpenapiOptions): string {
  if (name !== undefined && !isName(name)) {
    throw new CommandError(`--name: ${JSON.stringify(name)} is no name; letters, digits, . _ ~ - and at most 128`, 2);
  }
  const chosen = name ?? toSlug(title).toLowerCase();
  if (chosen === '') throw new CommandError(`${path}: info.title makes no name; say --name NAME`);
  return chosen;
}

function chooseUpstream(document: OpenapiDocument, { upstream, path }: OpenapiOptions, draft: ImportDraft): string {
  if (upstream !== undefined) {
    if (!isUpstream(upstream)) throw new CommandError('--upstream: expected a URL like http://host:port/base', 2);
    return upstream.replace(/\/+$/, '');
  }
  const [server] = document.servers;
  const url = isRecord(server) && typeof server['url'] === 'string' ? server['url'] : '/';
  if (!isUpstream(url)) {
    const what =
      document.servers.length === 0
        ? 'it names no server'
        : `servers[0].url is ${JSON.stringify(url.replace(/\/\/[^/]*@/, '//...@').slice(0, 200))}, no URL to send to`;
    throw new CommandError(`${path}: ${what}; say --upstream URL`);
  }
  if (document.servers.length > 1) {
    draft.note('servers', `requests go to the first, ${url}; say --upstream URL for another one`);
  }
  return url.replace(/\/+$/, '');
}

/** Says whether an api can send there: a variable, a query or a user in it would be lost. */
function isUpstream(text: string): boolean {
  const httpUrl = text.replace(/^h2(c?):/, 'http:');
  if (!/^https?:\/\/[^/@\\]+(\/[^@\\]*)?$/.test(httpUrl) || /[{}?#\s]/.test(text)) return false;
  return URL.canParse(httpUrl);
}

function makeRoutes(draft: ImportDraft, api: ApiDraft, document: OpenapiDocument): readonly Part[] {
  const parts = new Map<string, Part>();
  const pool = new NamePool();
  for (const operation of document.operations) {
    const { path, place, method } = operation;
    const security = readSecurity(document, operation.security);
    const written = writeTemplate(path);
    if (!written.ok) {
      draft.switchOff([api], place, `left out: ${written.reason}`);
      continue;
    }
    if (method === 'TRACE') {
      draft.note(place, 'left out: TRACE is always refused');
      continue;
    }
    const key = `${path} ${security.key}`;
    const known = parts.get(key);
    if (known !== undefined) {
      known.operations.push(operation);
      (known.route.methods as string[]).push(method);
      continue;
    }
    const name = pool.claim(undefined, path.replaceAll(/[{}]/g, '') === '/' ? 'root' : path.replaceAll(/[{}]/g, ''));
    const route: RouteDraft = {
      place: `paths.${path}`,
      name,
      hosts: [],
      paths: [written.path],
      methods: [method],
      headers: {},
      stripPath: false,
      isBound: false,
    };
    api.routes.push(route);
    parts.set(key, { template: path, operations: [operation], security, route });
  }
  if (api.routes.length > MAX_ROUTES) {
    throw new CommandError(`${api.place}: more than ${MAX_ROUTES} routes; make several documents of it`);
  }
  return [...parts.values()];
}

/** Of templates that a path may fit both, one could give away what the other guards. */
function compareParts(draft: ImportDraft, api: ApiDraft, parts: readonly Part[]): void {
  const open = parts.filter(({ template }) => template.includes('{'));
  for (const [index, one] of open.entries()) {
    for (const other of open.slice(index + 1)) {
      if (one.template === other.template || one.security.key === other.security.key) continue;
      if (!one.route.methods.some((method) => other.route.methods.includes(method))) continue;
      if (!mayShareTemplates(one.template, other.template)) continue;
      const message = `some paths fit ${other.template} too, which asks something else of a caller; keep the two apart`;
      draft.switchOff([api], one.route.place, message);
    }
  }
}

/** Binds to the api what every operation asks for, else to each route. */
function bindSecurity(draft: ImportDraft, api: ApiDraft, parts: readonly Part[]): void {
  const isOne = new Set(parts.map(({ security }) => security.key)).size === 1;
  for (const { security, route } of isOne ? parts.slice(0, 1) : parts) {
    for (const { plugin, config } of security.demands) {
      const scope = isOne ? { api: api.name } : { api: api.name, route: route.name };
      draft.bindings.push({ place: route.place, value: { plugin, scope, config }, apis: [api], consumers: [] });
    }
  }
}
