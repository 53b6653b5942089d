// The secret from which all workers derive the keys of TLS session tickets, so that a ticket of one is good at every other.
// Must not leave this node, and must not be kept: a key that is found later must not open what was recorded before.
import { randomBytes } from 'node:crypto';

/** How long a secret seals tickets. */
const ROTATE_MS = 12 * 3_600_000;
const SECRET_BYTES = 48;

/** Is the secret of now. */
export interface TicketSecret {
  /** base64. */
  readonly current: string;
  close(): void;
}

/** Makes a secret, and another every 12 hours. */
export function createTicketSecret(onRotated: (secret: string) => void, rotateMs: number = ROTATE_MS): TicketSecret {
  let current = randomBytes(SECRET_BYTES).toString('base64');
  const timer = setInterval(() => {
    current = randomBytes(SECRET_BYTES).toString('base64');
    onRotated(current);
  }, rotateMs);
  timer.unref();
  return {
    get current() {
      return current;
    },
    close: () => clearInterval(timer),
  };
}
