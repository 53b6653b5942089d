// An HTTP/2 session with a gateway in front of an origin.
// Must not choose the origin.
import type { ClientHttp2Session } from 'node:http2';
import type { TestGateway, TestGatewayOptions } from '../../../../support/engine.ts';
import type { Stage } from '../../../../support/proxied-api.ts';
import { openSession } from '../../../../support/wire/h2-client.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';

/** Is a gateway with a session that a test may use or leave. */
export interface SessionWithGateway {
  readonly gateway: TestGateway;
  readonly session: ClientHttp2Session;
}

/** Publishes an origin, and keeps it on the stage with the rest. */
export async function setUp(
  stage: Stage,
  origin: { readonly url: string; close(): Promise<void> },
  options: TestGatewayOptions = {},
): Promise<SessionWithGateway> {
  stage.keep(() => origin.close());
  const gateway = await stage.publish(origin.url, options);
  const session = openSession(gateway.url);
  stage.keep(() => session.destroy());
  return { gateway, session };
}

/** Starts an origin that answers with the body it got. */
export function startEcho(): Promise<Origin> {
  return startOrigin((request, response) => response.end(request.body));
}
