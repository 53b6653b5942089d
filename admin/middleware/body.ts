// Reads the body of a request within bounds and hands it to the reader of its media type.
// Must not know what the body means.
import type { IncomingMessage } from 'node:http';
import { AdminError } from '../errors.ts';
import { readJson } from './json.ts';
import { readYaml } from './yaml.ts';

/** Largest body of an ordinary request, in bytes. */
export const MAX_BODY_BYTES: number = 1024 * 1024;

/** Largest body of a publication, in bytes: a package of 2 MiB in base64, and its envelope. */
const MAX_PACKAGE_BODY_BYTES: number = 4 * 1024 * 1024;

/** Largest body of a whole configuration or a bundle, in bytes. */
const MAX_CONFIG_BYTES: number = 64 * 1024 * 1024;

/** How long a client may go on sending a body that was refused, in milliseconds; then the connection is closed. */
const LINGER_MS = 2_000;

/** Says what a route takes: one entity as JSON, a whole configuration as JSON or YAML, a package or a bundle of them in JSON. */
export type BodyKind = 'json' | 'merge-patch' | 'config' | 'package' | 'bundle';

const MEDIA_TYPES: Readonly<Record<BodyKind, readonly string[]>> = {
  json: ['application/json'],
  'merge-patch': ['application/merge-patch+json', 'application/json'],
  config: ['application/json', 'application/yaml', 'application/x-yaml', 'text/yaml'],
  package: ['application/json'],
  bundle: ['application/json'],
};

const MAX_BYTES: Readonly<Record<BodyKind, number>> = {
  json: MAX_BODY_BYTES,
  'merge-patch': MAX_BODY_BYTES,
  config: MAX_CONFIG_BYTES,
  package: MAX_PACKAGE_BODY_BYTES,
  bundle: MAX_CONFIG_BYTES,
};

/**
 * Reads the body that a route takes.
 *
 * @throws MEDIA_TYPE_UNSUPPORTED, PAYLOAD_TOO_LARGE (without reading on), BODY_MALFORMED
 */
export async function readBody(request: IncomingMessage, kind: BodyKind): Promise<unknown> {
  const type = checkMediaType(request, MEDIA_TYPES[kind]);
  const bytes = await collect(request, MAX_BYTES[kind]);
  if (bytes.length === 0) throw new AdminError('BODY_MALFORMED', 'A body is needed, but none was sent.');
  return type.endsWith('json') ? readJson(bytes) : readYaml(bytes);
}

/** Refuses a body where none is taken: it would mean something to the client and nothing here. @throws BODY_UNEXPECTED */
export function refuseBody(request: IncomingMessage): void {
  const hasBody =
    Number(request.headers['content-length'] ?? 0) > 0 || request.headers['transfer-encoding'] !== undefined;
  if (hasBody) throw new AdminError('BODY_UNEXPECTED', 'Send this request without a body.');
}

function checkMediaType(request: IncomingMessage, allowed: readonly string[]): string {
  const [type = '', ...parameters] = (request.headers['content-type'] ?? '').toLowerCase().split(';');
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith('charset='));
  const isUtf8 = charset === undefined || charset === 'charset=utf-8' || charset === 'charset="utf-8"';
  if (!allowed.includes(type.trim()) || !isUtf8) {
    throw new AdminError('MEDIA_TYPE_UNSUPPORTED', `Send the body as ${allowed.join(' or ')}, in UTF-8.`);
  }
  // A compressed body can grow a thousandfold after the bound was checked.
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new AdminError('MEDIA_TYPE_UNSUPPORTED', 'Send the body without Content-Encoding.');
  }
  return type.trim();
}

async function collect(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) refuseLarge(request, maxBytes);
  return await new Promise<Uint8Array>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const stop = (): void => {
      request.off('data', take).off('end', finish).off('error', fail).off('close', abort);
    };
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= maxBytes) return;
      stop();
      request.pause();
      try {
        refuseLarge(request, maxBytes);
      } catch (error) {
        reject(error);
      }
    };
    const finish = (): void => {
      stop();
      resolve(Buffer.concat(chunks));
    };
    const fail = (cause: Error): void => {
      stop();
      reject(new AdminError('BODY_MALFORMED', 'The body broke off.', { cause }));
    };
    const abort = (): void => fail(new Error('the client left'));
    request.on('data', take).on('end', finish).on('error', fail).on('close', abort);
  });
}

function refuseLarge(request: IncomingMessage, maxBytes: number): never {
  // Node throws away the rest of a refused body; a connection closed at once could be reset before the answer is read.
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS).unref();
  request.once('close', () => clearTimeout(timer));
  request.on('error', () => undefined);
  throw new AdminError('PAYLOAD_TOO_LARGE', `The body may be at most ${maxBytes} bytes.`);
}
