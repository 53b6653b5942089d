// Turns Kong's certificates and the names they are shown for into ours.
// Must not check what PEM holds: the check of the whole does.
import { NamePool } from '../names.ts';
import { asList, Fields, isRecord } from '../source.ts';
import { type KongImport, readTags, SERVER_SET } from './context.ts';
import type { Entity } from './entities.ts';
import { isReference } from './references.ts';

const HOST = /^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** Translates every certificate. Those of authorities are put where services name them. */
export function translateCertificates(kong: KongImport): void {
  const pool = new NamePool();
  for (const entity of kong.entities.of('certificates')) translateCertificate(kong, entity, pool);
}

function translateCertificate(kong: KongImport, entity: Entity, pool: NamePool): void {
  const { draft } = kong;
  const fields = new Fields(entity.value, entity.place);
  fields.skip(...SERVER_SET, 'tags', 'snis');
  const certificate = fields.text('cert');
  const privateKey = fields.text('key');
  const hosts = readHosts(kong, entity);
  if (fields.get('cert_alt') !== undefined || fields.get('key_alt') !== undefined) {
    draft.note(entity.place, 'cert_alt is left out: a certificate has one key here; make it a certificate of its own');
  }
  for (const key of fields.listUnasked()) draft.note(entity.place, `there is no counterpart of ${key}`);
  if (certificate === undefined || privateKey === undefined || isReference(certificate) || isReference(privateKey)) {
    draft.note(entity.place, 'left out: the certificate and its key have to be in the file, in clear, as PEM');
    return;
  }
  const name = pool.claim(hosts[0]?.replace('*', 'any'), 'certificate');
  kong.certificates.set(entity, name);
  const value = { name, hosts, certificate, privateKey, ...readTags(kong, entity) };
  draft.certificates.push({ place: entity.place, value });
}

function readHosts(kong: KongImport, entity: Entity): readonly string[] {
  const nested = asList(entity.value['snis'], `${entity.place}.snis`).map((one) => (isRecord(one) ? one['name'] : one));
  const apart = kong.entities.below(entity, 'snis');
  const names = [...nested, ...apart.map(({ value }) => value['name'])].map((one) => String(one).toLowerCase());
  const hosts = names.filter((name) => HOST.test(name));
  if (hosts.length < names.length) {
    kong.draft.note(entity.place, 'some snis are left out: only names and *.domain can be served');
  }
  return [...new Set(hosts)];
}
