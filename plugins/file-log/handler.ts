// Writes one JSON line per request to a file.
// Must not wait for the disk, nor let a secret through: what is hidden is in redact.ts.
import { definePlugin, type Plugin } from 'sallyport/plugin';
import { type LineFile, openLineFile } from './line-file.ts';
import { buildRecordWriter, type RecordWriter } from './record.ts';

/** Mirrors config.schema.json. */
export interface Config {
  readonly path: string;
  readonly fields: readonly string[];
  readonly redact: readonly string[];
}

interface State {
  readonly file: LineFile;
  readonly write: RecordWriter;
}

/** Logs every request, also those that broke off. */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  async setup({ path, fields, redact }, host) {
    const write = buildRecordWriter(fields, redact);
    const file = await openLineFile({ path, clock: host.clock, log: host.log });
    host.onReopen(() => file.reopen());
    return { file, write };
  },

  onLog(exchange, _config, { file, write }) {
    file.append(write(exchange));
  },

  close: ({ file }) => file.close(),
});
