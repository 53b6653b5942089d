// The gateway's own log: JSON lines by pino behind the Logger port, secrets blanked.
// Must not be used for access logs: those are the affair of plugins.
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import type { Logger } from '../core/ports.ts';
import { redactFields } from './redact.ts';

/** Is a logger whose buffered lines can be forced out. */
export interface Log extends Logger {
  /** Writes what is buffered before the process ends. */
  flush(): void;
}

/** Says what is logged and where to. `fields` are part of every line. */
export interface LogOptions {
  readonly level: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Default: stderr, buffered without blocking. */
  readonly destination?: DestinationStream & { flushSync?(): void };
}

const STDERR_FD = 2;
/** When nobody reads stderr, lines beyond this are dropped: a stuck terminal must not stop the traffic. */
const MAX_BUFFERED_BYTES = 1_048_576;

/** Makes a log of JSON lines: `time` (RFC 3339), `level`, `message` and the fields. */
export function createLog(options: LogOptions): Log {
  const destination =
    options.destination ?? pino.destination({ dest: STDERR_FD, sync: false, maxLength: MAX_BUFFERED_BYTES });
  const writer = pino(
    {
      level: options.level,
      base: { ...options.fields, pid: process.pid },
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return { ...buildLogger(writer), flush: () => destination.flushSync?.() };
}

function buildLogger(writer: PinoLogger): Logger {
  const write =
    (level: 'debug' | 'info' | 'warn' | 'error'): Logger['info'] =>
    (message, fields) => {
      // The level is asked first: redacting costs, and a debug line is nearly always off.
      if (writer.isLevelEnabled(level)) writer[level](fields === undefined ? {} : redactFields(fields), message);
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}
