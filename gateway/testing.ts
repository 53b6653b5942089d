// The plugin test kit, published as `sallyport/testing`: run a plugin over plain data, without a network or a database.
// Must not hold an implementation: each tool is a file in testing/.

export { type FakeClock, fakeClock } from './testing/clock.ts';
export { readConfig } from './testing/config.ts';
export {
  type ConsumerOptions,
  type CredentialOptions,
  fakeConsumers,
  type TestConsumers,
} from './testing/consumers.ts';
export {
  type BodyInput,
  type ExchangeOptions,
  fakeExchange,
  type HeaderInput,
  type RequestOptions,
  type TestExchange,
} from './testing/exchange.ts';
export type { ExpectedHeaders, Fixture, FixtureConsumer, FixtureFile } from './testing/fixture-file.ts';
export {
  type FixtureOptions,
  type FixtureResult,
  fixtureManifest,
  fixtureSecrets,
  runFixtures,
} from './testing/fixtures.ts';
export {
  type FetchAnswer,
  type FetchTable,
  fakeHost,
  type HostOptions,
  type LogLine,
  type TestHost,
} from './testing/host.ts';
export { fakeMetrics, type TestMetrics } from './testing/metrics.ts';
export {
  type PluginOptions,
  type RunningPlugin,
  type RunOptions,
  type RunResult,
  runPlugin,
  startPlugin,
} from './testing/run.ts';
export type { SentRequest, UpstreamAnswer, UpstreamScript } from './testing/wire.ts';
