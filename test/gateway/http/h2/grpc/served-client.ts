// A real gRPC client in front of a gateway in front of whatever a test serves.
// Must not make a call.
import type { Client } from '@grpc/grpc-js';
import type { TestGateway } from '../../../../support/engine.ts';
import type { PublishOptions, Stage } from '../../../../support/proxied-api.ts';
import { openClient } from '../../../../support/wire/grpc.ts';

/** Is a client and the gateway that it calls. */
export interface ServedClient {
  readonly gateway: TestGateway;
  readonly client: Client;
}

/** Publishes an origin, without retries, and keeps it on the stage with the rest. */
export async function serve(
  stage: Stage,
  origin: { readonly url: string; close(): Promise<void> },
  { route, ...options }: PublishOptions = {},
): Promise<ServedClient> {
  stage.keep(() => origin.close());
  const gateway = await stage.publish(origin.url, {
    ...options,
    api: { name: 'echo', retries: { attempts: 0 } },
    route: { paths: ['/test.Echo'], stripPath: false, ...route },
  });
  const client = openClient(gateway.port);
  stage.keep(() => client.close());
  return { gateway, client };
}

/** Writes a message. */
export const serialize = (text: string): Buffer => Buffer.from(text);
/** Reads a message. */
export const deserialize = (bytes: Buffer): string => bytes.toString();
