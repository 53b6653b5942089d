// `sallyport start`: the whole product on one machine.
// Must not do the work: house/house.ts does.
import type { Command } from '../command.ts';

/** Starts database, admin service and gateway, and leads them until a signal. */
export const startCommand: Command = {
  name: 'start',
  usage: '',
  summary: 'starts everything: database, admin service, gateway',
  details:
    'Starts the admin service and the gateway as two processes and restarts either when it crashes. Without DATABASE_URL\n' +
    'an embedded Postgres runs in the data directory. SIGTERM or Ctrl-C ends tidily, a second one at once; SIGHUP makes\n' +
    'plugins reopen their log files.',
  examples: [
    'sallyport start',
    'SALLYPORT_DATA_DIR=/var/lib/sallyport SALLYPORT_PROXY_LISTEN=0.0.0.0:8000 sallyport start',
    'DATABASE_URL=postgres://sallyport:secret@db:5432/sallyport sallyport start',
  ],
  options: {},
  minArguments: 0,
  maxArguments: 0,
  async run({ readSettings, environment, output }) {
    const settings = readSettings();
    const { runHouse } = await import('../house/house.ts');
    return runHouse(settings, environment, output);
  },
};
