// What the core knows of gRPC by itself: which requests are calls, how long they may take, how messages are written.
// Must not speak HTTP/2: test/gateway/http/h2/grpc does.
import assert from 'node:assert/strict';
import { GatewayError } from '../../../../gateway/core/errors.ts';
import {
  isGrpc,
  listErrorTrailers,
  readGrpcTimeout,
  writeGrpcTimeout,
} from '../../../../gateway/core/exchange/grpc.ts';

describe('gRPC', () => {
  it('takes for calls what says so over HTTP/2', () => {
    const types = [
      'application/grpc',
      'application/grpc+proto',
      'application/GRPC;x=y',
      'application/grpc-web',
      'text/plain',
    ];

    const are = types.map((type) => isGrpc({ httpVersion: '2.0', rawHeaders: ['host', 'h', 'content-type', type] }));

    assert.deepEqual(are, [true, true, true, false, false]);
    assert.equal(isGrpc({ httpVersion: '1.1', rawHeaders: ['content-type', 'application/grpc'] }), false);
    assert.equal(isGrpc({ httpVersion: '2.0', rawHeaders: [] }), false);
  });

  it('reads time-outs in every unit', () => {
    const texts = ['1H', '2M', '3S', '4m', '5u', '6n', '99999999H'];

    assert.deepEqual(texts.map(readGrpcTimeout), [
      3_600_000,
      120_000,
      3_000,
      4,
      0.005,
      0.000006,
      99_999_999 * 3_600_000,
    ]);
  });

  it('writes time-outs that are never longer than they are', () => {
    const values = [-1, 0, 0.0004, 1.5, 99_999.999, 100_000, 99_999_999, 1e9, 1e14, Number.MAX_VALUE];

    const written = values.map(writeGrpcTimeout);

    assert.deepEqual(written, [
      '0u',
      '0u',
      '0u',
      '1500u',
      '99999999u',
      '100000m',
      '99999999m',
      '1000000S',
      '27777777H',
      '99999999H',
    ]);
  });

  it('writes any message in visible ASCII', () => {
    const [, , name, message] = listErrorTrailers(new GatewayError('FORBIDDEN', 'größer 100%\r\n\ud800'));

    assert.equal(name, 'grpc-message');
    assert.equal(message, 'gr%C3%B6%C3%9Fer 100%25%0D%0A%EF%BF%BD');
  });
});
