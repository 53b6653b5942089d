// Translates request-transformer: lists of `name:value` become objects.
// Must not take a template for a text.
import type { Fields } from '../../source.ts';
import type { PluginCall, Translator } from './translator.ts';

const PLACES = { headers: 'headers', querystring: 'query', body: 'body' } as const;
/** No object may have these as keys: the reader of `apply` refuses them. */
const UNWRITABLE: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const PAIRED = ['rename', 'replace', 'add', 'append'] as const;

/** Translates request-transformer. The verbs run in the same order on both sides. */
export const translateRequestTransformer: Translator = (call) => {
  const { options } = call;
  const config: Record<string, Record<string, unknown>> = {};
  const remove = readVerb(call, options.below('remove'), (names) => [...new Set(names)]);
  if (Object.keys(remove).length > 0) config['remove'] = remove;
  for (const verb of PAIRED) {
    const rules = readVerb(call, options.below(verb), (pairs) => readPairs(call, verb, pairs));
    if (Object.keys(rules).length > 0) config[verb] = rules;
  }
  if (options.get('http_method') !== undefined) call.trouble('http_method: the method cannot be changed here');
  options.skip('dots_in_keys');
  return config;
};

function readVerb(
  call: PluginCall,
  fields: Fields,
  read: (texts: readonly string[]) => unknown,
): Record<string, unknown> {
  const rules: Record<string, unknown> = {};
  for (const [place, ours] of Object.entries(PLACES)) {
    const texts = fields.texts(place) ?? [];
    if (texts.length === 0) continue;
    if (place === 'body') call.trouble('rules for the body: only JSON bodies are changed here, in Kong forms too');
    rules[ours] = read(texts);
  }
  for (const key of fields.listUnasked())
    call.trouble(`${key}: the path and the rest of the request cannot be changed here`);
  return rules;
}

function readPairs(call: PluginCall, verb: string, texts: readonly string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const text of texts) {
    const colon = text.indexOf(':');
    const [name, value] = colon === -1 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
    if (value.includes('$(')) call.trouble(`${verb}: ${name} has a template, and values are literal here`);
    else if (UNWRITABLE.has(name)) call.trouble(`${verb}: ${name} cannot be named`);
    else if (Object.hasOwn(pairs, name)) call.trouble(`${verb}: ${name} is there twice`);
    else if (colon === -1) call.trouble(`${verb}: ${name} has no value`);
    else pairs[name] = value;
  }
  return pairs;
}
