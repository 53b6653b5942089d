// Holds the one gRPC call of the load: what is asked and what is answered, as they are on the wire.
// Must not depend on a gRPC library: a message is five bytes and what the harness likes.

const PREFIX_BYTES = 5;

/** Frames a message: not compressed, its length in four bytes. latin1. */
function frameMessage(text: string): string {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(text.length, 1);
  return `${prefix.toString('latin1')}${text}`;
}

/** Field 1 of a protobuf message, a string, then so many bytes. */
function writeStringField(text: string): string {
  return `\n${String.fromCharCode(text.length)}${text}`;
}

/** Is the body of each call; latin1. */
export const CALL_REQUEST: string = frameMessage(writeStringField('orders/1001'));

/** Is the body of each answer; latin1. */
export const CALL_ANSWER: string = frameMessage(writeStringField('{"id":"1001","item":"lamp","status":"packed"}'));

/** Is `/service/method`. */
export const CALL_PATH = '/orders/Get';
