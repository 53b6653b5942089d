// Whether the addresses of a start are free, asked before anything is started, so that the answer is one clear line.
// Must not keep an address.
import { createServer } from 'node:net';
import { CommandError } from '../output.ts';
import { SETTINGS, type Settings } from '../settings.ts';

const LISTENERS = ['proxyListen', 'proxyTlsListen', 'adminListen', 'statusListen'] as const;

/** Checks that every port can be listened on. @throws CommandError that names the first setting whose port cannot. */
export async function checkPorts(settings: Settings): Promise<void> {
  const wanted = LISTENERS.flatMap((key) => {
    const address = settings[key];
    return address === undefined ? [] : [{ key, address }];
  });
  const codes = await Promise.all(wanted.map(({ address }) => probe(address)));
  for (const [index, { key, address }] of wanted.entries()) {
    const code = codes[index];
    if (code !== undefined) throw new CommandError(describeListenFailure(SETTINGS[key].name, address, code));
  }
}

/** Writes the one line about an address that cannot be listened on. */
export function describeListenFailure(
  setting: string,
  address: { readonly host: string; readonly port: number },
  code: string,
): string {
  const where = `${address.host}:${address.port}`;
  if (code === 'EADDRINUSE')
    return `${where} is taken by another process; free it, or set ${setting} to another host:port`;
  if (code === 'EACCES') return `${where} may not be used by this user; set ${setting} to a port above 1023`;
  if (code === 'EADDRNOTAVAIL') return `${where} is no address of this machine; set ${setting} to another host:port`;
  return `cannot listen on ${where} (${code}); set ${setting} to another host:port`;
}

function probe(address: { readonly host: string; readonly port: number }): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(address.port, address.host, () => server.close(() => resolve(undefined)));
  });
}
