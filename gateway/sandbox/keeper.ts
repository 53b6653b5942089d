// What all tiers with a guest have in common: somebody keeps a guest and gives the conversation with it.
// Must not know how guests are kept.
import type { Manifest } from '../core/manifest.ts';
import type { Host } from '../core/plugin.ts';
import type { Conversation } from './conversation.ts';

/** Says what a plugin did that no plugin should. */
export interface Incident {
  readonly kind: 'crash' | 'timeout' | 'memory' | 'denied';
  readonly message: string;
  readonly hook?: string;
}

/** Is what a keeper needs. */
export interface KeeperOptions {
  readonly code: string;
  readonly limits: Manifest['limits'];
  /** Gives the host of a set-up. */
  findHost(instance: number): Host | undefined;
  /** Hears of each new guest before anybody speaks to it: it is opened, and every set-up done again. */
  onOpen(conversation: Conversation): Promise<void>;
  onIncident(incident: Incident): void;
}

/** Keeps a guest, and makes another when it is lost. */
export interface GuestKeeper {
  /** Undefined while there is none. */
  readonly conversation: Conversation | undefined;
  /** Waits for one. @throws Error when the keeper is closed */
  whenOpen(): Promise<Conversation>;
  close(): Promise<void>;
}
