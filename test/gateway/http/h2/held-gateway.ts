// Starts a gateway in a process of its own, for what may end the process.
// Must not run it here: a failure would take the other tests along.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { headersFrame, openFrames, requestLines } from '../../../support/wire/h2-frames.ts';
import { startOrigin } from '../../../support/wire/origin.ts';

const HOLDER = fileURLToPath(new URL('gateway-holder.js', import.meta.url));

/** Is a gateway in another process: everything goes to an echo but `/h2c`, which goes to an HTTP/2 target. */
export interface HeldGateway {
  readonly port: number;
  /** Fails when it is gone, or does not answer a connection of its own. */
  checkAlive(): Promise<void>;
  close(): Promise<void>;
}

/** Starts one; `h2Url` is the target of `/h2c`. */
export async function holdGateway(h2Url: string): Promise<HeldGateway> {
  const web = await startOrigin();
  const child = fork(HOLDER, [web.url, h2Url]);
  const [port] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [number];
  return {
    port,
    async checkAlive(): Promise<void> {
      const probe = await openFrames(port);
      probe.send(headersFrame(1, requestLines()));

      assert.equal(await probe.outcome(1), 'status 200');
      assert.deepEqual([child.exitCode, child.signalCode], [null, null]);
      probe.close();
    },
    async close(): Promise<void> {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGKILL');
      await ended;
      await web.close();
    },
  };
}

/** Resolves when the gateway has closed the connection. */
export function sendCut(port: number, bytes: Buffer, at: number): Promise<void> {
  return sendPieces(port, [bytes.subarray(0, at), bytes.subarray(at)]);
}

/** Sends each piece alone. */
export async function sendPieces(port: number, pieces: readonly Buffer[]): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined);
  socket.resume();
  for (const piece of pieces) {
    if (piece.length > 0) await new Promise((resolve) => socket.write(piece, resolve));
    // Leaves the other process the time to read it alone.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
}
