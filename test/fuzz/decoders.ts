// The readers of messages by themselves, cut at every byte: many more cases than sockets allow.
// Must not open a socket.

import { RequestReader } from '../../gateway/http/h1/request-reader.ts';
import { ChunkedDecoder } from '../../gateway/http/message/chunked-decoder.ts';
import { ResponseReader } from '../../gateway/http/upstream/response-reader.ts';
import type { Group } from './group.ts';
import { makeChunks, makeRequest, makeResponse } from './messages.ts';
import type { Random } from './random.ts';

/** Longest message that is cut at every byte; longer ones are cut at a hundred. */
const MAX_EVERY_BYTE = 600;

/** Reads pieces and says what they came to; throws nothing but what a reader may throw. */
type Reader = (pieces: readonly Buffer[]) => string;

function guarded(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && (error.name === 'MalformedMessage' || error.name === 'GatewayError'))
      return 'refused';
    throw error;
  }
}

const readRequests: Reader = (pieces) =>
  guarded(() => {
    const reader = new RequestReader();
    for (const piece of pieces) {
      const end = reader.take(piece);
      if (end === -1) continue;
      const { head } = reader;
      return JSON.stringify([head?.method, head?.target, head?.version, head?.rawHeaders, head?.facts, head?.upgrade]);
    }
    return 'unfinished';
  });

const readChunks: Reader = (pieces) =>
  guarded(() => {
    let body = '';
    const decoder = new ChunkedDecoder((bytes) => {
      body += bytes.toString('latin1');
    });
    for (const piece of pieces) {
      decoder.decode(piece);
      if (decoder.isDone) return JSON.stringify([body, decoder.trailers]);
    }
    return `unfinished ${body.length}`;
  });

const readResponses: Reader = (pieces) =>
  guarded(() => {
    let seen = '';
    let hasEnded = false;
    const reader = new ResponseReader('GET', false, {
      onInformational: ({ status }) => {
        seen += `${status};`;
      },
      onHead: ({ status, rawHeaders }) => {
        seen += `${status} ${JSON.stringify(rawHeaders)};`;
      },
      onBody: (bytes) => {
        seen += bytes.toString('latin1');
      },
      onEnd: (trailers) => {
        hasEnded = true;
        seen += `;${JSON.stringify(trailers)}`;
      },
    });
    for (const piece of pieces) {
      reader.read(piece);
      if (hasEnded) return seen;
    }
    return reader.endByClose() ? seen : `unfinished ${seen}`;
  });

function compare(random: Random, message: string, read: Reader): string | undefined {
  const bytes = Buffer.from(message, 'latin1');
  const whole = read([bytes]);
  const byBytes = read(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)));
  const differs = (what: string, other: string): string =>
    `whole: ${whole}\n${what}: ${other}\nbytes: ${JSON.stringify(message)}`;
  if (byBytes !== whole && !isEarlier(whole, byBytes)) return differs('byte by byte', byBytes);
  const cuts = bytes.length <= MAX_EVERY_BYTE ? bytes.length : 100;
  for (let count = 1; count < cuts; count++) {
    const at = bytes.length <= MAX_EVERY_BYTE ? count : random.below(bytes.length);
    const inTwo = read([bytes.subarray(0, at), bytes.subarray(at)]);
    if (inTwo !== whole && !isEarlier(whole, inTwo)) return differs(`cut at ${at}`, inTwo);
  }
  return undefined;
}

/** What is broken may be seen before the end of what is unfinished, or only then: both end in a refusal. */
function isEarlier(one: string, other: string): boolean {
  const isOpen = (result: string): boolean => result === 'refused' || result.startsWith('unfinished');
  return isOpen(one) && isOpen(other);
}

/** Every reader, with messages whole and cut. */
export const decoders: Group = {
  name: 'decoders',
  async open() {
    return {
      async run(random) {
        const kind = random.below(3);
        if (kind === 0) return compare(random, makeRequest(random), readRequests);
        if (kind === 1) return compare(random, makeResponse(random), readResponses);
        return compare(random, makeChunks(random, 'c'.repeat(random.below(2_000))), readChunks);
      },
      close: () => Promise.resolve(),
    };
  },
};
