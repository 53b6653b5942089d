// A gRPC service and its client, without a protocol compiler: messages are bytes with text in them.
// Must not know the gateway.
import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js';

const serialize = (text: string): Buffer => Buffer.from(text);
const deserialize = (bytes: Buffer): string => bytes.toString();

function define(name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<string, string> {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  };
}

/** Describes the service: one method of each kind. */
export const ECHO: Readonly<Record<'unary' | 'collect' | 'repeat' | 'chat', MethodDefinition<string, string>>> = {
  unary: define('Unary', false, false),
  collect: define('Collect', true, false),
  repeat: define('Repeat', false, true),
  chat: define('Chat', true, true),
};

/** Is what a test does in the place of echoing. */
export interface EchoHandlers {
  readonly unary: handleUnaryCall<string, string>;
  readonly collect: handleClientStreamingCall<string, string>;
  readonly repeat: handleServerStreamingCall<string, string>;
  readonly chat: handleBidiStreamingCall<string, string>;
}

/** Is a running service. */
export interface EchoServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

const DEFAULTS: EchoHandlers = {
  unary: (call: ServerUnaryCall<string, string>, callback) => callback(null, call.request),
  collect(call: ServerReadableStream<string, string>, callback) {
    const texts: string[] = [];
    call.on('data', (text: string) => texts.push(text));
    call.on('end', () => callback(null, texts.join(',')));
  },
  repeat(call: ServerWritableStream<string, string>) {
    for (let count = 0; count < 3; count++) call.write(`${call.request}${count}`);
    call.end();
  },
  chat(call: ServerDuplexStream<string, string>) {
    call.on('data', (text: string) => call.write(text.toUpperCase()));
    call.on('end', () => call.end());
  },
};

/** Starts the service on a port, any free one by default; it echoes unless told otherwise. */
export async function startEcho(handlers: Partial<EchoHandlers> = {}, port: number = 0): Promise<EchoServer> {
  const server = new Server();
  server.addService(ECHO, { ...DEFAULTS, ...handlers });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, found) => {
      if (error) reject(error);
      else resolve(found);
    });
  });
  return {
    url: `h2c://127.0.0.1:${bound}`,
    port: bound,
    close: async () => server.forceShutdown(),
  };
}

/** Is how a call ended. */
export interface CallEnd {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
  readonly reply: string | undefined;
}

/** Opens a client; retries of its own are off, so that what the gateway does is seen. */
export function openClient(port: number): Client {
  return new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.enable_retries': 0,
    'grpc.max_receive_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
  });
}

/** Makes one unary call. */
export function call(
  client: Client,
  text: string,
  options: {
    readonly metadata?: Readonly<Record<string, string>>;
    readonly deadlineMs?: number;
    readonly path?: string;
  } = {},
): Promise<CallEnd> {
  const { path = ECHO.unary.path, deadlineMs } = options;
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value);
  return new Promise((resolve) => {
    let reply: string | undefined;
    let error: ServiceError | null = null;
    const made = client.makeUnaryRequest(
      path,
      serialize,
      deserialize,
      text,
      metadata,
      deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
      (failure, value) => {
        error = failure;
        reply = value;
      },
    );
    made.on('status', (status) => {
      queueMicrotask(() => resolve({ ...status, reply: error ? undefined : reply }));
    });
  });
}
