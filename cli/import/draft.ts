// What an import has made so far: entities with their place in the file, and remarks on what could not be translated.
// Must not know the format of the file.

/** Is one entity of the configuration, and where in the file it came from. */
export interface Placed {
  readonly place: string;
  readonly value: Record<string, unknown>;
}

/** Is one route. `isBound`: a plugin guards it alone, so its requests are not as safe on another route. */
export interface RouteDraft {
  readonly place: string;
  readonly name: string;
  readonly hosts: readonly string[];
  /** In the form of the configuration; grows when a path has to be said in two ways. */
  readonly paths: string[];
  readonly methods: readonly string[];
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly stripPath: boolean;
  isBound: boolean;
}

/** Is one api. */
export interface ApiDraft {
  readonly place: string;
  readonly name: string;
  /** Everything but name, routes and enabled. */
  readonly fields: Record<string, unknown>;
  readonly routes: RouteDraft[];
  /** Hosts that its requests reach: what one api guards, another that reaches the same host must not give away. */
  readonly reach: ReadonlySet<string>;
  /** Whether the source had it on. */
  readonly wasEnabled: boolean;
  /** Off: it is written, and serves nothing until somebody has looked at it. */
  isOff: boolean;
  /** A route of it is missing here, so where its requests would go is unknown. */
  hasLostRoutes: boolean;
}

/** Is one consumer. */
export interface ConsumerDraft extends Placed {
  readonly username: string;
  readonly credentials: Placed[];
}

/** Is one binding, with whom it guards: they go off when it has to be left out. */
export interface BindingDraft extends Placed {
  readonly apis: readonly ApiDraft[];
  readonly consumers: readonly ConsumerDraft[];
}

/** Longest remark; what it quotes of the file is cut. */
const MAX_REMARK_LENGTH = 600;
/** Whoever has so many to read does not miss the rest: apis that it touches are off all the same. */
const MAX_REMARKS = 10_000;

/** Collects what an import makes. */
export class ImportDraft {
  readonly certificates: Placed[] = [];
  readonly upstreams: Placed[] = [];
  readonly apis: ApiDraft[] = [];
  readonly consumers: ConsumerDraft[] = [];
  readonly bindings: BindingDraft[] = [];
  /** Apis that could not be written at all: their requests must not come to what guards less. */
  readonly removedApis: ApiDraft[] = [];
  /** Where requests of an api could go if it were off: apis with a route that matches them too. */
  readonly overlaps: Map<ApiDraft, Set<ApiDraft>> = new Map();
  readonly #remarks = new Set<string>();
  #unshown = 0;

  /** Lists every remark once, in the order in which they were made. */
  get remarks(): readonly string[] {
    const rest = this.#unshown === 0 ? [] : [`${this.#unshown} more are not shown`];
    return [...this.#remarks, ...rest];
  }

  /** Says that `heir` could get requests of `api` if that were off. */
  overlap(api: ApiDraft, heir: ApiDraft): void {
    const known = this.overlaps.get(api);
    if (known === undefined) this.overlaps.set(api, new Set([heir]));
    else known.add(heir);
  }

  /** Remarks on what is other than it was, and neither lets anybody in nor sends a request elsewhere. */
  note(place: string, message: string): void {
    if (this.#remarks.size >= MAX_REMARKS) {
      this.#unshown += 1;
      return;
    }
    // A file may hold what a terminal would obey.
    const line = `${place}: ${message}`.replaceAll(/\p{Cc}/gu, '?');
    this.#remarks.add(line.length > MAX_REMARK_LENGTH ? `${line.slice(0, MAX_REMARK_LENGTH)}...` : line);
  }

  /** Remarks on what touches protection or routing: the apis serve nothing until somebody has looked. */
  switchOff(apis: readonly ApiDraft[], place: string, message: string): void {
    for (const api of apis) api.isOff = true;
    const names = apis.slice(0, 3).map(({ name }) => name);
    const more = apis.length > names.length ? ` and ${apis.length - names.length} more` : '';
    const which = `${names.join(', ')}${more} ${apis.length === 1 ? 'is' : 'are'} written with enabled: false`;
    this.note(place, apis.length === 0 ? message : `${message}; ${which}`);
  }

  /** Takes the credentials of consumers away: what held for them cannot be translated, so they must not call. */
  silence(consumers: readonly ConsumerDraft[], place: string, message: string): void {
    for (const { credentials } of consumers) credentials.splice(0);
    const names = consumers.slice(0, 3).map(({ username }) => username);
    const more = consumers.length > names.length ? ` and ${consumers.length - names.length} more` : '';
    this.note(place, `${message}; ${names.join(', ')}${more} written without credentials`);
  }

  /** Gives the configuration as `sallyport apply` takes it. */
  toDocument(): Record<string, unknown> {
    const sections = {
      certificates: this.certificates.map(({ value }) => value),
      upstreams: this.upstreams.map(({ value }) => value),
      apis: this.apis.map(writeApi),
      consumers: this.consumers.map(writeConsumer),
      bindings: this.bindings.map(({ value }) => value),
    };
    return Object.fromEntries(Object.entries(sections).filter(([, entries]) => entries.length > 0));
  }
}

function writeApi({ name, fields, routes, wasEnabled, isOff }: ApiDraft): Record<string, unknown> {
  const enabled = wasEnabled && !isOff;
  return { name, ...(enabled ? {} : { enabled }), ...fields, routes: routes.map(writeRoute) };
}

function writeRoute({ name, hosts, paths, methods, headers, stripPath }: RouteDraft): Record<string, unknown> {
  return {
    name,
    ...(hosts.length > 0 ? { hosts } : {}),
    ...(paths.length > 0 ? { paths } : {}),
    ...(methods.length > 0 ? { methods } : {}),
    ...(Object.keys(headers).length > 0 ? { headers } : {}),
    stripPath,
  };
}

function writeConsumer({ value, credentials }: ConsumerDraft): Record<string, unknown> {
  return credentials.length === 0 ? value : { ...value, credentials: credentials.map((one) => one.value) };
}
