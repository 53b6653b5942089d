// The one table of all routes: what is not in it does not exist.
// Must not hold a handler.
import type { RouteSpec } from '../call.ts';
import { API_ROUTE_ROUTES } from './api-routes.ts';
import { BINDING_ROUTES } from './bindings.ts';
import { CONFIG_ROUTES } from './config.ts';
import { API_ROUTES, CERTIFICATE_ROUTES, CONSUMER_ROUTES, CREDENTIAL_ROUTES, UPSTREAM_ROUTES } from './entities.ts';
import { INSTALL_ROUTES } from './installs.ts';
import { MARKETPLACE_INDEX_ROUTES } from './marketplace/index.ts';
import { MARKETPLACE_PLUGIN_ROUTES } from './marketplace/plugins.ts';
import { PUBLISHER_ROUTES } from './marketplace/publishers.ts';
import { buildOpenApi } from './openapi.ts';
import { OPERATION_ROUTES } from './operations.ts';
import { REVISION_ROUTES } from './revisions.ts';
import { TOKEN_ROUTES } from './tokens.ts';
import { CANARY_ROUTES } from './trials/canary.ts';
import { REPLAY_ROUTES } from './trials/replay.ts';
import { SHADOW_ROUTES } from './trials/shadow.ts';

/** Lists every route of the admin service, with the role it needs. */
export const ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: '/livez',
    role: 'public',
    summary: 'Say that the process lives',
    gives: 'Liveness',
    handle: async () => ({ body: { status: 'live' } }),
  },
  ...API_ROUTES,
  ...API_ROUTE_ROUTES,
  ...CERTIFICATE_ROUTES,
  ...UPSTREAM_ROUTES,
  ...CONSUMER_ROUTES,
  ...CREDENTIAL_ROUTES,
  ...BINDING_ROUTES,
  ...INSTALL_ROUTES,
  ...CANARY_ROUTES,
  ...SHADOW_ROUTES,
  ...REPLAY_ROUTES,
  ...OPERATION_ROUTES,
  ...REVISION_ROUTES,
  ...CONFIG_ROUTES,
  ...TOKEN_ROUTES,
  ...PUBLISHER_ROUTES,
  ...MARKETPLACE_PLUGIN_ROUTES,
  ...MARKETPLACE_INDEX_ROUTES,
  {
    method: 'GET',
    path: '/v1/openapi.json',
    role: 'any',
    summary: 'Describe this interface in OpenAPI 3.1',
    gives: 'OpenApi',
    handle: async (call) => ({ body: buildOpenApi(ROUTES, call.services.version) }),
  },
];
