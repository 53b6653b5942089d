// Ends HTTP/2 sessions between the reads of nghttp2, never within one.
// Must be used for every session: what ends one may be node:http2 itself.
import { constants, type Http2Session } from 'node:http2';

/**
 * Takes over how a session ends. node:http2 also ends sessions by itself from within a callback of nghttp2, such as behind a
 * GOAWAY, and Node 20 does not bear it:
 *
 * - Destroyed there, nghttp2 before 1.68.1 reads on; a frame of a wrong size ends it a second time, which does nothing, and
 *   an assertion ends the process. @see CVE-2026-27135
 * - Closed there, node:http2 refuses a stream that begins behind it from within its HEADERS, and nghttp2 goes on with
 *   the stream that was freed. So a session is closed only in the turn in which it is destroyed.
 *
 * `close` tells the other side and ends the session once `isIdle`; who opens streams must call it again when the last has ended.
 */
export function endLate<Session extends Http2Session>(session: Session, isIdle: () => boolean): Session {
  const close = session.close.bind(session);
  const destroy = session.destroy.bind(session);
  let isLeaving = false;
  let isDestroyDue = false;
  session.destroy = (error, code) => {
    if (isDestroyDue) return;
    isDestroyDue = true;
    setImmediate(() => destroy(error, code));
  };
  session.close = () => {
    if (session.destroyed) return;
    if (!isLeaving) session.goaway(constants.NGHTTP2_NO_ERROR);
    isLeaving = true;
    if (!isIdle()) return;
    setImmediate(() => {
      // Closed before destroyed: its socket then waits for the other side to take what was sent.
      if (session.destroyed || !isIdle()) return;
      isDestroyDue = true;
      close();
      destroy();
    });
  };
  return session;
}
