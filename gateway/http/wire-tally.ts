// What listeners count of what the core never sees: upgrades, refusals, connections turned away.
// Must not cost a request anything.
import type { Socket } from 'node:net';
import type { ErrorCode, GatewayError } from '../core/errors.ts';
import { writeRefusal } from './h1/refusal.ts';
import { SocketTunnel } from './socket/socket-tunnel.ts';

/** Says why a connection was closed at once: too many are open, or too many of its address. */
export type TurnedAway = 'connections' | 'connections-per-ip';

/** Counts since the start of a process. */
export class WireTally {
  /** Connections that were switched to another protocol. */
  upgrades = 0;
  /** Those of them that are open. */
  openUpgrades = 0;
  readonly refusals: Map<ErrorCode, number> = new Map();
  readonly turnedAway: Record<TurnedAway, number> = { connections: 0, 'connections-per-ip': 0 };

  /** Counts what was refused before it became an exchange. */
  countRefusal(code: ErrorCode): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }

  /** Gives the message that refuses, and counts it. */
  refuse(error: GatewayError): Buffer {
    this.countRefusal(error.code);
    return writeRefusal(error);
  }

  /** Gives the client's side of an upgrade, which is open until its socket is closed. */
  openTunnel(socket: Socket): SocketTunnel {
    this.upgrades++;
    this.openUpgrades++;
    socket.once('close', () => this.openUpgrades--);
    return new SocketTunnel(socket, { onActivity() {} });
  }
}
