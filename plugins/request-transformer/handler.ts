// Changes headers, query and JSON fields of a request on its way upstream.
// Values are literal: nothing of a request or of the environment is ever put into them.
import { definePlugin, type ExchangeRequest, GatewayError, type Plugin, readQuery, writeQuery } from 'sallyport/plugin';
import { readFields, writeFields } from './fields.ts';
import { type Config, readSteps, type Step } from './rules.ts';
import { changeFields, changeHeaders, changeQuery } from './steps.ts';

interface State {
  readonly headers: readonly Step[];
  readonly query: readonly Step[];
  readonly body: readonly Step[];
}

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json[\t ]*(?:;|$)/i;
const OTHER_CHARSET = /;[\t ]*charset=(?!"?utf-?8)/i;

/** Transforms the request. @throws BODY_INVALID when a rule for the body meets JSON that cannot be read one way only. */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup: (config) => ({
    headers: readSteps(config, 'headers'),
    query: readSteps(config, 'query'),
    body: readSteps(config, 'body'),
  }),

  onRequest({ request }, config, { headers, query, body }) {
    // Asked before the headers change: the rules speak of the request as the client sent it.
    const isForBody = body.length > 0 && request.hasBody && hasJson(request);
    if (query.length > 0) changeQueryOf(request, query);
    changeHeaders(request.headers, headers);
    // Without a rule for the body its bytes stream through untouched, and this hook costs no promise.
    return isForBody ? changeBody(request, config.maxBodyBytes, body) : undefined;
  },
});

function changeQueryOf(request: ExchangeRequest, steps: readonly Step[]): void {
  const before = readQuery(request.query);
  const after = changeQuery(before, steps);
  if (after !== before) request.query = writeQuery(after);
}

function hasJson({ headers }: ExchangeRequest): boolean {
  const types = headers.getAll('content-type');
  if (!types.some((type) => JSON_TYPE.test(type))) return false;
  if (types.length > 1) throw new GatewayError('BODY_INVALID', 'send one Content-Type');
  if (OTHER_CHARSET.test(types[0] ?? '')) throw new GatewayError('BODY_INVALID', 'JSON must be UTF-8');
  // What is compressed cannot be changed, and passing it on unchanged would be a way around the rule.
  if (headers.getAll('content-encoding').some((coding) => coding.trim().toLowerCase() !== 'identity')) {
    throw new GatewayError('BODY_INVALID', 'send the body without Content-Encoding');
  }
  return true;
}

async function changeBody(request: ExchangeRequest, maxBytes: number, steps: readonly Step[]): Promise<void> {
  const body = await request.readBody(maxBytes);
  if (body.byteLength === 0) return;
  const fields = parse(body);
  if (changeFields(fields, steps)) request.setBody(writeFields(fields));
}

function parse(body: Uint8Array): ReturnType<typeof readFields> {
  try {
    return readFields(body);
  } catch (cause) {
    throw new GatewayError('BODY_INVALID', 'the body must be a JSON object without duplicate keys', { cause });
  }
}
