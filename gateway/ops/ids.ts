// Random request ids, made in stock: a call to the system's generator per request would be seen in the benchmark.
// Must not be used for secrets that outlive a request.
import { randomBytes } from 'node:crypto';

const ID_BYTES = 16;
const IDS_PER_STOCK = 256;

/** Makes a source of ids: 32 lower-case hex digits, 128 random bits each. */
export function createIdSource(): () => string {
  let stock = '';
  let position = 0;
  return () => {
    if (position === stock.length) {
      stock = randomBytes(ID_BYTES * IDS_PER_STOCK).toString('hex');
      position = 0;
    }
    position += 2 * ID_BYTES;
    return stock.slice(position - 2 * ID_BYTES, position);
  };
}
