// Versions of plugins as an install pins them: the one that runs, the one before, and those that are tried beside it.
// Must not hold behaviour.
import type { Manifest } from '../manifest.ts';
import type { JsonSchema } from '../schemas/shared.ts';

/** Is one version of a plugin, pinned to its bytes, with what it may do and all that is to know of it without its code. */
export interface PluginPin {
  readonly version: string;
  /** SHA-256 of the package, hex. */
  readonly sha256: string;
  /** What was granted: the same that the manifest asks for, or it does not load. */
  readonly granted: Manifest['permissions'];
  readonly manifest: Manifest;
  readonly configSchema: JsonSchema;
}

/** Is the version before, and how its bindings were configured. */
export interface PreviousPin extends PluginPin {
  /** Configurations that the way up changed, by the id of the binding: as they were, and what became of them. */
  readonly configs: Readonly<Record<string, ConfigStep>>;
}

/** Is what a way up made of the configuration of a binding. */
export interface ConfigStep {
  readonly before: Readonly<Record<string, unknown>>;
  readonly after: Readonly<Record<string, unknown>>;
}

/** Says what keeps a caller on one version: who it is, where it comes from, or nothing. */
export type SplitKey = 'consumer' | 'ip' | 'request';

/** Is another version that gets a part of the exchanges, and what decides whether it stays. */
export interface CanaryPin extends PluginPin {
  /** Of the exchanges, 0..100. */
  readonly percent: number;
  readonly key: SplitKey;
  readonly rule: CanaryRule;
  readonly startedAt: string;
}

/** Is another version that runs beside the installed one on copies of exchanges, to see what it would do. */
export interface ShadowPin extends PluginPin {
  /** Of the exchanges, 0..100. */
  readonly percent: number;
  readonly startedAt: string;
}

/** Says when a trial is lost, and when it is won. */
export interface CanaryRule {
  /** Exchanges of the canary below which nothing is said. */
  readonly minExchanges: number;
  /** Part of the exchanges, 0..1, that may fail or be refused beyond what the stable version fails and refuses. */
  readonly maxErrorPart: number;
  /** How many times as long as the stable version's a hook may take on the average. */
  readonly maxSlowdown: number;
  /** Seconds after which it takes over; absent = a person decides. */
  readonly promoteAfterSeconds?: number;
}
