// Sends and takes large bodies at a chosen speed, and compares every byte of them.
// Must not keep a body: a block at a time, in every direction.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { defineFrameCounter } from '../load/frames.ts';

const BLOCK_BYTES = 32 * 1024;
const BYTES_PER_MIB = 1_048_576;
const BLOCK = randomBytes(BLOCK_BYTES);
const counterOf = defineFrameCounter(BLOCK);
/** Is what a slow taker takes before it rests. */
const SIP_BYTES = 128 * 1024;

/** Gives how many blocks make so many MiB. */
export function countBlocks(mib: number): number {
  return (mib * BYTES_PER_MIB) / BLOCK_BYTES;
}

/** Gives the bytes of so many blocks. */
export function countBytes(blocks: number): number {
  return blocks * BLOCK_BYTES;
}

/** Writes blocks as fast as they are taken, and ends. */
export function sendBlocks(to: Writable, blocks: number): void {
  let left = blocks;
  const write = (): void => {
    while (left > 0) {
      left -= 1;
      if (!to.write(BLOCK)) return;
    }
    to.off('drain', write);
    to.end();
  };
  to.on('drain', write);
  write();
}

/** Reads blocks at most at a speed; gives how many came when it ended. @throws Error when it breaks off or other bytes come. */
export function sipBlocks(from: Readable, mibPerSecond: number): Promise<number> {
  const restMs = (SIP_BYTES / BYTES_PER_MIB / mibPerSecond) * 1000;
  const counter = counterOf();
  return new Promise((resolve, reject) => {
    let [blocks, sipped] = [0, 0];
    from.on('data', (chunk: Buffer) => {
      try {
        blocks += counter.count(chunk);
      } catch (error) {
        from.destroy();
        reject(error);
      }
      sipped += chunk.length;
      if (sipped < SIP_BYTES) return;
      sipped = 0;
      from.pause();
      setTimeout(() => from.resume(), restMs);
    });
    from.on('end', () => resolve(blocks));
    from.on('error', reject);
    from.on('close', () => reject(new Error('the body broke off')));
  });
}

async function serve(request: IncomingMessage, response: ServerResponse, mibPerSecond: number): Promise<void> {
  const blocks = Number(request.headers['x-blocks'] ?? 0);
  const isChunked = request.headers['x-framing'] === 'chunked';
  if (request.method === 'GET') {
    response.writeHead(200, isChunked ? {} : { 'content-length': countBytes(blocks) });
    sendBlocks(response, blocks);
    return;
  }
  const came = await sipBlocks(request, mibPerSecond);
  response.writeHead(came === blocks ? 200 : 422, { 'content-length': 0 }).end();
}

/**
 * Makes an upstream that gives as many blocks as a GET asks for in `x-blocks`, and takes those of a POST slowly. With
 * `x-framing: chunked` it does not tell the length.
 */
export function createBodyUpstream(mibPerSecond: number): Server {
  return createServer((request, response) => {
    serve(request, response, mibPerSecond).catch(() => response.destroy());
  });
}
