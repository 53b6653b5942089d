// The JSON Schemas (2020-12) that validate REST bodies, files and manifests, and make the OpenAPI.
// Must not hold a schema itself: each lives beside its like in schemas/.
export { CONSUMER_SCHEMA, CREDENTIAL_SCHEMAS, TOKEN_SCHEMA } from './schemas/identity.ts';
export { CANARY_SCHEMA, INSTALL_SCHEMA, REPLAY_SCHEMA, SHADOW_SCHEMA } from './schemas/installs.ts';
export { BINDING_SCHEMA, MANIFEST_SCHEMA } from './schemas/plugins.ts';
export { type JsonSchema, MAX_LIST_ITEMS, TOKEN_PATTERN } from './schemas/shared.ts';
export { CERTIFICATE_SCHEMA } from './schemas/tls.ts';
export { API_SCHEMA, ROUTE_SCHEMA, UPSTREAM_SCHEMA } from './schemas/traffic.ts';
