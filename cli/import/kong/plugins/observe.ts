// Translates what only looks on: correlation-id, file-log, prometheus.
// Must not turn an api off: none of these guards it.
import { expectOnly, type Translator } from './translator.ts';

/** Translates correlation-id. */
export const translateCorrelationId: Translator = (call) => {
  const { options } = call;
  const headerName = options.text('header_name') ?? 'Kong-Request-ID';
  const generator = options.text('generator') ?? 'uuid#counter';
  const isOwn = headerName.toLowerCase() === 'x-request-id';
  if (isOwn) call.tell('X-Request-Id is never taken from clients here, so each request gets a new one');
  if (generator === 'tracker') call.tell('generator: tracker is not there; ids are uuids');
  return {
    headerName,
    generator: generator === 'uuid#counter' ? generator : 'uuid',
    trustIncoming: !isOwn,
    echo: options.flag('echo_downstream') ?? false,
  };
};

/** Translates file-log. */
export const translateFileLog: Translator = (call) => {
  const { options } = call;
  expectOnly(call, 'reopen', { values: [false], otherwise: 'send SIGHUP to open the file anew', isHarmless: true });
  expectOnly(call, 'custom_fields_by_lua', { values: [{}], otherwise: 'there is no Lua here', isHarmless: true });
  const path = options.text('path');
  return path === undefined ? undefined : { path };
};

/** Translates prometheus. */
export const translatePrometheus: Translator = (call) => {
  expectOnly(call, 'per_consumer', { values: [false], otherwise: 'consumers are no label here', isHarmless: true });
  const { options } = call;
  options.skip('status_code_metrics', 'latency_metrics', 'bandwidth_metrics', 'upstream_health_metrics');
  options.skip('ai_metrics', 'wasm_metrics');
  return {};
};
