// Which plugins of Kong have a counterpart here, and which of the others guard nothing.
// Must not translate itself.
import { translateBasicAuth, translateJwt, translateKeyAuth } from './auth.ts';
import { translateRateLimiting } from './limits.ts';
import { translateCors, translateIpRestriction } from './network.ts';
import { translateCorrelationId, translateFileLog, translatePrometheus } from './observe.ts';
import { translateRequestTransformer } from './transform.ts';
import type { Translator } from './translator.ts';

/** Holds the translations by the name of the plugin, which is the same on both sides. */
export const TRANSLATORS: ReadonlyMap<string, Translator> = new Map([
  ['key-auth', translateKeyAuth],
  ['basic-auth', translateBasicAuth],
  ['jwt', translateJwt],
  ['rate-limiting', translateRateLimiting],
  ['cors', translateCors],
  ['ip-restriction', translateIpRestriction],
  ['request-transformer', translateRequestTransformer],
  ['correlation-id', translateCorrelationId],
  ['file-log', translateFileLog],
  ['prometheus', translatePrometheus],
]);

/** Holds plugins that only look on: an api without them is as safe as it was. */
export const ONLOOKERS: ReadonlySet<string> = new Set([
  'correlation-id',
  'file-log',
  'prometheus',
  'http-log',
  'tcp-log',
  'udp-log',
  'syslog',
  'loggly',
  'kafka-log',
  'datadog',
  'statsd',
  'statsd-advanced',
  'zipkin',
  'opentelemetry',
]);
