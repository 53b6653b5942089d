// An upstream that answers with what it got, for a plugin under development.
// Must not listen beyond this machine.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Is a running echo. */
export interface Echo {
  readonly url: string;
  close(): Promise<void>;
}

/** What is longer is cut: the answer is read by a person. */
const MAX_BODY_BYTES = 1_048_576;

/** Starts an echo on a free port of the loopback. */
export async function startEcho(): Promise<Echo> {
  const server = createServer((request, response) => {
    readBody(request).then(
      (body) => {
        const [path, query = ''] = (request.url ?? '/').split(/\?(.*)/s);
        const { method, headers } = request;
        response.setHeader('content-type', 'application/json');
        response.end(`${JSON.stringify({ method, path, query, headers, body }, undefined, 2)}\n`);
      },
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if (size < MAX_BODY_BYTES) chunks.push(chunk);
    size += chunk.length;
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES).toString('utf8');
}
