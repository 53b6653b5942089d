// Starts the orders service on ORDERS_PORT (9000) of ORDERS_HOST (127.0.0.1).
// Must not hold any of its behaviour: service.ts does.
import { buildOrdersService } from './service.ts';

const port = Number(process.env['ORDERS_PORT'] ?? 9000);
const host = process.env['ORDERS_HOST'] ?? '127.0.0.1';

const service = buildOrdersService();
service.listen(port, host, () => {
  const address = service.address();
  const boundPort = address !== null && typeof address === 'object' ? address.port : port;
  process.stdout.write(`orders listen on http://${host}:${boundPort}\n`);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    service.close();
    service.closeAllConnections();
  });
}
