// Reads an OpenAPI document as far as a gateway cares: paths, operations, servers, security.
// Must not translate anything.
import { CommandError } from '../../output.ts';
import type { ImportDraft } from '../draft.ts';
import { asList, asRecord, Fields, isRecord, type Source } from '../source.ts';

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;
/** Describe requests and answers, and say nothing of who may send them where. */
const ROOT_WORDS = ['openapi', 'info', 'tags', 'externalDocs', 'components', 'webhooks', 'jsonSchemaDialect', '$self'];
const OPERATION_WORDS =
  'tags summary description externalDocs operationId parameters requestBody responses callbacks deprecated'.split(' ');
/** References of references are followed so far. */
const MAX_STEPS = 16;

/** Is one operation. */
export interface Operation {
  readonly place: string;
  readonly path: string;
  /** Upper case. */
  readonly method: string;
  /** Its own, else that of the document; undefined = none. */
  readonly security: readonly unknown[] | undefined;
}

/** Is what was read. `troubles` keep the api from being enabled. */
export interface OpenapiDocument {
  readonly title: string;
  readonly servers: readonly unknown[];
  readonly operations: readonly Operation[];
  readonly schemes: Source;
  readonly troubles: readonly { readonly place: string; readonly message: string }[];
  /** Follows `$ref` inside of the document; undefined when it leads out of it or nowhere. */
  resolve(value: unknown): unknown;
}

/** Reads the document, and tells what it holds that a gateway does not know. @throws CommandError when it is none */
export function readOpenapi(file: Source, path: string, draft: ImportDraft): OpenapiDocument {
  const version = String(file['openapi'] ?? '');
  if (!/^3\.[01]\.\d+/.test(version)) {
    const said =
      file['swagger'] !== undefined
        ? `it is Swagger ${file['swagger']}; convert it first`
        : `openapi is ${version || 'missing'}`;
    throw new CommandError(`${path}: expected an OpenAPI document, 3.0 or 3.1; ${said}`);
  }
  const fields = new Fields(file, path);
  fields.skip(...ROOT_WORDS);
  const info = asRecord(file['info'] ?? {}, 'info');
  const components = asRecord(file['components'] ?? {}, 'components');
  const security = fields.get('security');
  const reader: Reader = {
    draft,
    security: security === undefined ? undefined : asList(security, 'security'),
    resolve: (value) => resolveReference(file, value),
    troubles: [],
  };
  const paths = asRecord(fields.get('paths') ?? {}, 'paths');
  const servers = asList(fields.get('servers'), 'servers');
  const operations = Object.entries(paths).flatMap(([key, item]) => readPathItem(reader, key, item));
  tellUnknown(draft, fields, 'document');
  return {
    title: typeof info['title'] === 'string' ? info['title'] : '',
    servers,
    operations,
    schemes: asRecord(components['securitySchemes'] ?? {}, 'components.securitySchemes'),
    troubles: reader.troubles,
    resolve: reader.resolve,
  };
}

interface Reader {
  readonly draft: ImportDraft;
  readonly security: readonly unknown[] | undefined;
  readonly resolve: (value: unknown) => unknown;
  readonly troubles: { readonly place: string; readonly message: string }[];
}

function readPathItem(reader: Reader, path: string, given: unknown): readonly Operation[] {
  const place = `paths.${path}`;
  if (path.startsWith('x-')) {
    reader.draft.note(place, 'extensions are not read');
    return [];
  }
  const item = reader.resolve(given);
  if (!isRecord(item)) {
    reader.troubles.push({ place, message: 'left out: it stands in another file; bundle the files into one' });
    return [];
  }
  const fields = new Fields(item, place);
  fields.skip('$ref', 'summary', 'description', 'parameters');
  if (asList(fields.get('servers'), `${place}.servers`).length > 0) {
    reader.troubles.push({
      place,
      message: 'it has servers of its own, and an api has one upstream; make it another api',
    });
  }
  const operations = METHODS.flatMap((method) => {
    const operation = fields.get(method);
    return operation === undefined
      ? []
      : [readOperation(reader, { path, method, place: `${place}.${method}`, operation })];
  });
  tellUnknown(reader.draft, fields, 'path');
  return operations;
}

interface GivenOperation {
  readonly path: string;
  readonly method: string;
  readonly place: string;
  readonly operation: unknown;
}

function readOperation(reader: Reader, { path, method, place, operation }: GivenOperation): Operation {
  const fields = new Fields(asRecord(operation, place), place);
  fields.skip(...OPERATION_WORDS);
  if (asList(fields.get('servers'), `${place}.servers`).length > 0) {
    reader.troubles.push({
      place,
      message: 'it has servers of its own, and an api has one upstream; make it another api',
    });
  }
  const own = fields.get('security');
  const security = own === undefined ? reader.security : asList(own, `${place}.security`);
  tellUnknown(reader.draft, fields, 'operation');
  return { place, path, method: method.toUpperCase(), security };
}

/** Tells each unknown word once, and not at every operation. */
function tellUnknown(draft: ImportDraft, fields: Fields, where: string): void {
  for (const key of fields.listUnasked()) {
    draft.note(
      key,
      key.startsWith('x-') ? `extensions of a ${where} are not read` : `no ${where} has this field; it is not read`,
    );
  }
}

function resolveReference(file: Source, value: unknown): unknown {
  let found = value;
  for (let step = 0; step < MAX_STEPS && isRecord(found) && typeof found['$ref'] === 'string'; step++) {
    const [, pointer] = /^#(\/.*)$/.exec(found['$ref']) ?? [];
    if (pointer === undefined) return undefined;
    const keys = pointer.slice(1).split('/');
    found = keys.reduce<unknown>((one, key) => {
      const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
      return isRecord(one) && Object.hasOwn(one, name) ? one[name] : undefined;
    }, file);
  }
  return isRecord(found) && found['$ref'] !== undefined ? undefined : found;
}
