// Reads a whole configuration document against the schemas, entity by entity.
// Must not look at the configuration that is there.
import type { InputKind } from '../../gateway/core/config.ts';
import { CREDENTIAL_SCHEMAS } from '../../gateway/core/schemas.ts';
import { createSlicer } from '../../gateway/core/slicer.ts';
import { escapePointer } from '../../gateway/core/validate.ts';
import { invalidField } from '../errors.ts';
import { ProblemCollector } from './problems.ts';
import { type Input, isRecord, readEntity } from './read.ts';

const SECTIONS = ['certificates', 'upstreams', 'apis', 'consumers', 'installs', 'bindings'] as const;
type Section = (typeof SECTIONS)[number];

/** Is one entity as read, with its place in the document. */
export interface Item {
  readonly pointer: string;
  readonly input: Input;
}

/** Is a document as read: schemas hold, defaults are filled. */
export interface ReadConfig {
  readonly sections: Readonly<Record<Section, readonly Item[]>>;
  readonly credentials: ReadonlyMap<Item, readonly Item[]>;
}

/** Reads a document against the schemas, in slices. @throws CONFIG_INVALID naming up to 50 problems */
export async function readConfigDocument(body: unknown): Promise<ReadConfig> {
  if (!isRecord(body)) throw invalidField('', `expected an object with ${SECTIONS.join(', ')}`);
  const collector = new ProblemCollector();
  for (const key of Object.keys(body)) {
    const isKnown = SECTIONS.some((section) => section === key);
    if (!isKnown) collector.add(`/${escapePointer(key)}`, `unknown field; known are ${SECTIONS.join(', ')}`);
  }
  const slicer = createSlicer();
  const credentials = new Map<Item, readonly Item[]>();
  const readSection = async (section: Section): Promise<Item[]> => {
    const items: Item[] = [];
    for (const [pointer, entry] of listEntries(body[section], `/${section}`, collector)) {
      await slicer.step();
      const { own, nested } = splitCredentials(section, entry);
      const input = collector.attempt(() => readEntity(section.slice(0, -1) as InputKind, own, pointer));
      const inner = listEntries(nested, `${pointer}/credentials`, collector).flatMap(([at, one]) =>
        readCredential(at, one, collector),
      );
      if (input === undefined) continue;
      const item = { pointer, input };
      items.push(item);
      credentials.set(item, inner);
    }
    return items;
  };
  const sections = {
    certificates: await readSection('certificates'),
    upstreams: await readSection('upstreams'),
    apis: await readSection('apis'),
    consumers: await readSection('consumers'),
    installs: await readSection('installs'),
    bindings: await readSection('bindings'),
  };
  collector.finish();
  return { sections, credentials };
}

function listEntries(value: unknown, pointer: string, collector: ProblemCollector): [string, unknown][] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) {
    collector.add(pointer, 'expected a list');
    return [];
  }
  return (value as readonly unknown[]).map((entry, index) => [`${pointer}/${index}`, entry]);
}

function splitCredentials(section: Section, entry: unknown): { readonly own: unknown; readonly nested: unknown } {
  if (section !== 'consumers' || !isRecord(entry)) return { own: entry, nested: undefined };
  const { credentials, ...own } = entry;
  return { own, nested: credentials };
}

function readCredential(pointer: string, entry: unknown, collector: ProblemCollector): Item[] {
  const type = isRecord(entry) && typeof entry['type'] === 'string' ? entry['type'] : '';
  const kind: InputKind = `credential:${Object.hasOwn(CREDENTIAL_SCHEMAS, type) ? type : ''}`;
  const input = collector.attempt(() => readEntity(kind, entry, pointer));
  return input === undefined ? [] : [{ pointer, input }];
}
