// `sallyport migrate`: brings the database to this version's schema, or one step back.
// Must not start a database.
import type { Command } from '../command.ts';
import { CommandError } from '../output.ts';
import { SETTINGS } from '../settings.ts';

/** Runs migrations against DATABASE_URL. */
export const migrateCommand: Command = {
  name: 'migrate',
  usage: '[up|down]',
  summary: 'brings the database to this version, or one step back',
  details:
    'Runs every migration that the database at DATABASE_URL lacks (up, the default), or takes the newest back (down).\n' +
    'Several processes may call it at once: one migrates, the others wait. `start` and `admin` migrate by themselves.',
  examples: ['DATABASE_URL=postgres://sallyport:secret@db:5432/sallyport sallyport migrate', 'sallyport migrate down'],
  options: {},
  minArguments: 0,
  maxArguments: 1,
  async run({ arguments: [direction = 'up'], readSettings, output }) {
    if (direction !== 'up' && direction !== 'down') {
      throw new CommandError(`sallyport migrate: expected up or down, not ${JSON.stringify(direction)}`, 2);
    }
    const { databaseUrl } = readSettings();
    if (databaseUrl === undefined) throw missingDatabase('migrate');
    const [{ migrateDown, migrateUp }, { toFailure }] = await Promise.all([
      import('../../migrations/migrate.ts'),
      import('../house/migrate-database.ts'),
    ]);

    const names = await (direction === 'up' ? migrateUp : migrateDown)(databaseUrl).catch((error: unknown) => {
      throw toFailure(error);
    });
    if (names.length === 0)
      output.print(direction === 'up' ? 'The database is up to date.' : 'Nothing is left to take back.');
    for (const name of names) output.print(`${direction === 'up' ? 'applied' : 'took back'} ${name}`);
    return 0;
  },
};

/** Says that a command needs a database of its own finding. */
export function missingDatabase(command: string): CommandError {
  const { name, example } = SETTINGS.databaseUrl;
  return new CommandError(
    `${name}: not set, and \`sallyport ${command}\` starts no database of its own (\`sallyport start\` does). ` +
      `Example: ${name}=${example}`,
    2,
  );
}
