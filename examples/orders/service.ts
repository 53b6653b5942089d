// Is a small orders service, the upstream of the walk-through: three routes on node:http, orders in memory.
// Must not give an output that differs from run to run: the walk-through compares it word for word.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

const MAX_BODY_BYTES = 64 * 1024;
const FIRST_ID = 1001;

interface Order {
  readonly id: number;
  readonly item: string;
  readonly quantity: number;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** Reads a body as text; undefined when it is longer than any order. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Read to its end, but not kept: leaving early would close the connection before the answer is out.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return bytes <= MAX_BODY_BYTES ? Buffer.concat(chunks).toString('utf8') : undefined;
}

/** Reads an order as a customer sends it; undefined when it is none. */
function readDraft(text: string): Omit<Order, 'id'> | undefined {
  try {
    const { item, quantity } = JSON.parse(text) as Record<string, unknown>;
    if (typeof item !== 'string' || item === '') return undefined;
    return typeof quantity === 'number' && Number.isInteger(quantity) && quantity > 0 ? { item, quantity } : undefined;
  } catch {
    return undefined;
  }
}

async function addOrder(orders: Order[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const text = await readBody(request);
  if (text === undefined) return send(response, 413, { error: 'an order is at most 64 KiB' });
  const draft = readDraft(text);
  if (draft === undefined) return send(response, 400, { error: 'send {"item": "...", "quantity": 1}' });
  const order: Order = { id: FIRST_ID + orders.length, ...draft };
  orders.push(order);
  response.setHeader('location', `/orders/${order.id}`);
  send(response, 201, order);
}

async function answer(orders: Order[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://orders');
  if (pathname === '/orders' && request.method === 'GET') return send(response, 200, orders);
  if (pathname === '/orders' && request.method === 'POST') return addOrder(orders, request, response);
  const id = /^\/orders\/(\d+)$/.exec(pathname)?.[1];
  const order = request.method === 'GET' ? orders.find((candidate) => String(candidate.id) === id) : undefined;
  if (order === undefined) return send(response, 404, { error: 'no such order' });
  send(response, 200, order);
}

/** Builds the service with two orders in it; the caller lets it listen and closes it. */
export function buildOrdersService(): Server {
  const orders: Order[] = [
    { id: FIRST_ID, item: 'lamp', quantity: 2 },
    { id: FIRST_ID + 1, item: 'chair', quantity: 4 },
  ];
  return createServer((request, response) => {
    // A client that breaks off makes the read fail; there is nobody left to answer.
    answer(orders, request, response).catch(() => response.destroy());
  });
}
