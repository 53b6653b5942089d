// Ends HTTP/2 sessions between the reads of nghttp2, never within one.
// Must be used for every session: what ends one may be node:http2 itself.
import type { Http2Session } from 'node:http2';

/**
 * Makes a session end in the next turn of the loop. node:http2 also ends sessions by itself from within a callback of nghttp2, such
 * as behind a GOAWAY. Before 1.68.1 nghttp2 then forgets that it was ended and reads on; a frame of a wrong size ends it a
 * second time, which does nothing, and an assertion ends the process. @see CVE-2026-27135
 */
export function destroyLate<Session extends Http2Session>(session: Session): Session {
  const destroy = session.destroy.bind(session);
  let isDue = false;
  session.destroy = (error, code) => {
    if (isDue) return;
    isDue = true;
    setImmediate(() => destroy(error, code));
  };
  return session;
}
