// Reads a declarative file of Kong and makes a draft of it: certificates, services, routes, consumers, plugins, in this order.
// Must not write anything.
import { CommandError } from '../../output.ts';
import { ImportDraft } from '../draft.ts';
import type { Source } from '../source.ts';
import { translatePlugins } from './bindings.ts';
import { translateCertificates } from './certificates.ts';
import { translateConsumers } from './consumers.ts';
import { type KongImport, openImport, readFormatVersion } from './context.ts';
import { readEntities, SECTIONS } from './entities.ts';
import { refuseVariables } from './references.ts';
import { translateRoutes } from './routes.ts';
import { translateServices } from './services.ts';

const VERSIONS: ReadonlySet<string> = new Set(['1.1', '2.1', '3.0']);
/** Say something of the file itself. */
const OWN_KEYS: ReadonlySet<string> = new Set([
  '_format_version',
  '_transform',
  '_info',
  '_comment',
  '_ignore',
  '_workspace',
  '_konnect',
  '_plugin_configs',
  '$schema',
]);
/** Guard no request: who administers Kong, and what references and plugins are resolved with. */
const HARMLESS_SECTIONS: ReadonlySet<string> = new Set([
  'vaults',
  'keys',
  'key_sets',
  'licenses',
  'workspaces',
  'parameters',
  'admins',
  'rbac_roles',
  'rbac_users',
  'oauth2_tokens',
  'oauth2_authorization_codes',
  'clustering_data_planes',
]);

/** Makes the draft. @throws CommandError when it is no declarative file of Kong */
export function importKong(file: Source, path: string): KongImport {
  const version = readFormatVersion(file);
  if (!VERSIONS.has(version)) {
    const said = version === '' ? 'it has no _format_version' : `its _format_version is ${version}`;
    throw new CommandError(`${path}: expected a declarative file of Kong, format 1.1, 2.1 or 3.0; ${said}`);
  }
  refuseVariables(file);
  const draft = new ImportDraft();
  const kong = openImport(draft, readEntities(file), file);
  translateCertificates(kong);
  translateServices(kong);
  translateRoutes(kong);
  translateConsumers(kong);
  translatePlugins(kong);
  tellUnknown(kong, file);
  return kong;
}

function tellUnknown({ draft }: KongImport, file: Source): void {
  for (const key of Object.keys(file)) {
    const isEmpty = file[key] === null || (Array.isArray(file[key]) && file[key].length === 0);
    if (OWN_KEYS.has(key) || SECTIONS.includes(key) || isEmpty) continue;
    if (HARMLESS_SECTIONS.has(key)) draft.note(key, 'left out: there is no counterpart of it');
    // It might guard any of them.
    else draft.switchOff(draft.apis, key, 'there is no counterpart of this section, and what it guards is unknown');
  }
}
