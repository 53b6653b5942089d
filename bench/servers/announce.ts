// Says on stdout where a server of the harness listens, and ends the process with the harness.
// Must not print anything else: the harness reads the line.
import type { Server } from 'node:net';

/** Prints `listening PORT` once the server listens, and exits when stdin closes, so that none outlives a killed harness. */
export function announce(server: Server): void {
  server.once('listening', () => {
    const address = server.address();
    if (address !== null && typeof address === 'object') process.stdout.write(`listening ${address.port}\n`);
  });
  process.stdin.on('end', () => process.exit(0)).resume();
}
