// The Date field of now.
// Must not be used to measure time.

let second = 0;
let text = '';

/** Gives the date of now as HTTP writes it; made anew once a second. @see RFC 9110 section 5.6.7 */
export function httpDate(): string {
  const now = Math.floor(Date.now() / 1_000);
  if (now !== second) {
    second = now;
    text = new Date(now * 1_000).toUTCString();
  }
  return text;
}
