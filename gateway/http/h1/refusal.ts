// Answers of the listener itself: for what never becomes a request of the core.
// Must close the connection after it: behind broken framing nothing that follows can be trusted.
import { STATUS_CODES } from 'node:http';
import { type ErrorCode, GatewayError } from '../../core/errors.ts';
import { buildProblem } from '../../core/exchange/answers.ts';
import { httpDate } from '../message/http-date.ts';
import { type Breach, MalformedMessage } from '../message/malformed.ts';

/** Turns what a reader threw into the answer for it. */
export function toRefusal(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  if (!(error instanceof MalformedMessage)) throw error;
  return new GatewayError(CODE_OF_BREACH[error.breach], error.message);
}

const CODE_OF_BREACH: Readonly<Record<Breach, ErrorCode>> = {
  grammar: 'REQUEST_MALFORMED',
  'too-large': 'HEADERS_TOO_LARGE',
  'line-too-long': 'URI_TOO_LONG',
};

/** Gives the whole message that refuses a request and says that the connection closes. */
export function writeRefusal(error: GatewayError): Buffer {
  const { headers, body } = buildProblem(error, '');
  const lines: string[] = [];
  headers.writeTo(lines);
  let head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\n`;
  for (let at = 0; at < lines.length; at += 2) head += `${lines[at]}: ${lines[at + 1]}\r\n`;
  head += `Date: ${httpDate()}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}
