// Checks, before and after the load, that a gateway hands on the right answers.
// Must not measure.
import { once } from 'node:events';
import { get, type IncomingMessage, type RequestOptions } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http2';
import { get as getSecure } from 'node:https';
import { text } from 'node:stream/consumers';
import { ANSWER_BODY } from '../answer.ts';
import type { LoadRequest, RunningGateway } from '../contenders/contender.ts';
import { type BenchCertificate, SERVER_NAME } from '../load/certificate.ts';
import { buildFields, openSession } from '../load/http2-load.ts';
import { generateMessages } from '../load/websocket-load.ts';
import { CALL_ANSWER } from './call-messages.ts';

/** How many of a gateway's requests are tried one by one, with the whole answer compared. */
const CHECKED_REQUESTS = 20;
const CHECKED_SECONDS = 0.3;

function pickRequests(requests: readonly LoadRequest[]): readonly LoadRequest[] {
  const step = Math.max(1, Math.floor(requests.length / CHECKED_REQUESTS));
  return requests.filter((_, index) => index % step === 0);
}

function compare(path: string, status: unknown, body: string): void {
  if (Number(status) !== 200) throw new Error(`${path} answered ${status}: ${body}`);
  if (body !== ANSWER_BODY) throw new Error(`${path} answered another body: ${body}`);
}

/** Checks answers over HTTP/1.1, with TLS when there is a certificate. @throws Error when status or body is another. */
export async function checkHttpAnswers(
  { port, requests }: RunningGateway,
  certificate: BenchCertificate | undefined,
): Promise<void> {
  for (const { path, headers } of pickRequests(requests)) {
    const options: RequestOptions = {
      port,
      host: '127.0.0.1',
      path,
      headers: { host: 'orders.example.com', ...headers },
    };
    const request = certificate
      ? getSecure({ ...options, servername: SERVER_NAME, ca: certificate.certificate })
      : get(options);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    compare(path, response.statusCode, await text(response));
  }
}

interface StreamAnswer {
  readonly status: unknown;
  readonly body: string;
  readonly trailers: IncomingHttpHeaders;
}

async function askOverHttp2(port: number, request: LoadRequest, certificate?: string): Promise<StreamAnswer> {
  const session = openSession({ port, certificate });
  try {
    const stream = session.request(buildFields(request), { endStream: request.body === undefined });
    if (request.body !== undefined) stream.end(request.body, 'latin1');
    let trailers: IncomingHttpHeaders = {};
    stream.on('trailers', (fields) => {
      trailers = fields;
    });
    const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    const chunks: Buffer[] = await stream.toArray();
    // A refusal without a body has its status among the first fields.
    return {
      status: fields[':status'],
      body: Buffer.concat(chunks).toString('latin1'),
      trailers: { ...fields, ...trailers },
    };
  } finally {
    session.destroy();
  }
}

/** Checks answers over HTTP/2. @throws Error when status or body is another. */
export async function checkHttp2Answers(
  { port, requests }: RunningGateway,
  certificate: BenchCertificate | undefined,
): Promise<void> {
  for (const request of pickRequests(requests)) {
    const { status, body } = await askOverHttp2(port, request, certificate?.certificate);
    compare(request.path, status, body);
  }
}

/** Checks a gRPC call with its trailers. @throws Error when message or grpc-status is another. */
export async function checkCall({ port, requests }: RunningGateway): Promise<void> {
  for (const request of requests) {
    const { status, body, trailers } = await askOverHttp2(port, request);
    const grpcStatus = trailers['grpc-status'];
    if (Number(status) !== 200 || body !== CALL_ANSWER || grpcStatus !== '0') {
      throw new Error(`${request.path} answered ${status}, grpc-status ${grpcStatus}, ${JSON.stringify(body)}`);
    }
  }
}

/** Checks that messages come back unchanged. @throws Error when one does not. */
export async function checkEcho({ port, requests }: RunningGateway): Promise<void> {
  const { units, failures } = await generateMessages({ port, requests, connections: 2, seconds: CHECKED_SECONDS });
  if (units === 0 || failures > 0) throw new Error(`${units} messages came back, ${failures} connections broke`);
}
