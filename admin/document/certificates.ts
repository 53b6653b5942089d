// Makes certificates of what a body says: the chain is checked, the private key must fit it and is sealed.
// Must not log a key, and must not keep one in clear.
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import type { Certificate } from '../../gateway/core/model.ts';
import {
  describeCertificate,
  findCertificateFaults,
  listHosts,
  MAX_CHAIN,
} from '../../gateway/core/tls/certificate.ts';
import { readCertificates, writeCertificates } from '../../gateway/core/tls/pem.ts';
import { openSecret, sealSecret } from '../../gateway/sources/secrets.ts';
import { AdminError, invalid, invalidField } from '../errors.ts';
import { toEntity } from './apis.ts';
import type { Draft } from './draft.ts';
import type { Input } from './read.ts';

/** From so many days before its end on, a certificate is shown with a warning. */
const WARNING_DAYS = 30;
const DAY_MS = 86_400_000;

/** Says what a certificate replaces, the key that seals keys, and the time. */
export interface CertificateContext {
  readonly existing: Certificate | undefined;
  readonly secretKey: Uint8Array;
  readonly nowMs: number;
}

/** Makes a certificate. A body without a key keeps the one that is there. @throws CONFIG_INVALID */
export function toCertificate(input: Input, context: CertificateContext): Certificate {
  const { existing } = context;
  const chain = readChain(String(input['certificate']));
  const [leaf] = chain;
  const certificate = writeCertificates(chain);
  const hosts = chooseHosts(input['hosts'] as readonly string[] | undefined, leaf, existing);
  const faults = findCertificateFaults({ certificate, hosts });
  if (faults.length > 0) throw invalid(faults);
  // What expired meanwhile may be written again as it is: it must not keep a whole configuration from being applied.
  if (certificate !== existing?.certificate) checkTimes(chain, context.nowMs);
  const privateKey = sealKey(input, leaf, context);
  const { id, name, tags } = input;
  return toEntity<'certificate'>({ id, name, hosts, certificate, privateKey, tags }, existing);
}

function readChain(pem: string): readonly [X509Certificate, ...X509Certificate[]] {
  const read = readCertificates(pem, MAX_CHAIN);
  if (!read.ok) throw invalidField('/certificate', read.message);
  const [leaf, ...issuers] = read.certificates;
  if (leaf === undefined) throw invalidField('/certificate', 'expected a certificate');
  return [leaf, ...issuers];
}

/** Gives the hosts: as said, else those in the certificate. Hosts that were the old certificate's own follow the new one. */
function chooseHosts(
  said: readonly string[] | undefined,
  leaf: X509Certificate,
  existing: Certificate | undefined,
): readonly string[] {
  const own = listHosts(leaf);
  if (said === undefined) return own;
  const isCopied = existing !== undefined && isSame(said, existing.hosts);
  return isCopied && isSame(said, listHosts(readChain(existing.certificate)[0])) ? own : said;
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one, index) => one === others[index]);
}

function checkTimes(chain: readonly X509Certificate[], nowMs: number): void {
  for (const [index, one] of chain.entries()) {
    const endMs = Date.parse(one.validTo);
    if (endMs > nowMs) continue;
    throw invalidField('/certificate', `certificate ${index + 1} expired on ${new Date(endMs).toISOString()}`);
  }
}

/** Seals the key; one that equals what is sealed already keeps its sealed form, so that writing it again is no change. */
function sealKey(input: Input, leaf: X509Certificate, { existing, secretKey }: CertificateContext): string {
  const { privateKey: plain, sealedPrivateKey: sealed } = input;
  if (plain !== undefined && sealed !== undefined) {
    throw invalidField('/sealedPrivateKey', 'expected only one of privateKey, sealedPrivateKey');
  }
  const kept = existing?.privateKey;
  if (plain === undefined) {
    const known = sealed ?? kept;
    if (known === undefined) throw invalidField('/privateKey', 'required field missing');
    const pointer = sealed === undefined ? '/privateKey' : '/sealedPrivateKey';
    readKey(openSealed(String(known), pointer, secretKey), pointer, leaf);
    return String(known);
  }
  const key = readKey(String(plain), '/privateKey', leaf);
  const opened = String(key.export({ type: 'pkcs8', format: 'pem' }));
  return kept !== undefined && tryOpen(secretKey, kept) === opened ? kept : sealSecret(secretKey, opened);
}

function readKey(pem: string, pointer: string, leaf: X509Certificate): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // What OpenSSL says could quote the key.
    throw invalidField(pointer, 'expected a private key in PEM form, not encrypted');
  }
  if (!leaf.checkPrivateKey(key)) throw invalidField(pointer, 'expected the private key of the first certificate');
  return key;
}

function openSealed(sealed: string, pointer: string, secretKey: Uint8Array): string {
  const opened = tryOpen(secretKey, sealed);
  if (opened === undefined) throw invalidField(pointer, "expected a key sealed with this installation's key");
  return opened;
}

function tryOpen(secretKey: Uint8Array, sealed: string): string | undefined {
  try {
    return openSecret(secretKey, sealed);
  } catch {
    return undefined;
  }
}

/** Shows a certificate as REST does: with what is worth knowing of it, without its key. */
export function showCertificate(entity: Certificate, nowMs: number = Date.now()): Input {
  const { id, name, hosts, certificate, tags, createdAt, updatedAt } = entity;
  const chain = readChain(certificate);
  const facts = describeCertificate(chain[0]);
  const warning = findWarning(chain, nowMs);
  const times = { tags, createdAt, updatedAt };
  return { id, name, hosts, certificate, ...facts, ...(warning === undefined ? {} : { warning }), ...times };
}

function findWarning(chain: readonly X509Certificate[], nowMs: number): string | undefined {
  const startMs = Math.max(...chain.map(({ validFrom }) => Date.parse(validFrom)));
  const endMs = Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
  const end = new Date(endMs).toISOString();
  if (endMs <= nowMs) return `expired on ${end}`;
  if (startMs > nowMs) return `not valid before ${new Date(startMs).toISOString()}`;
  const days = Math.floor((endMs - nowMs) / DAY_MS);
  return days < WARNING_DAYS ? `expires on ${end}, in ${days} days` : undefined;
}

/** Shows a certificate as an export does: its key sealed, so that it can be written again; without secrets, not at all. */
export function exportCertificate(entity: Certificate, hasSecrets: boolean): Input {
  const { privateKey: sealedPrivateKey, ...shown } = entity;
  return hasSecrets ? { ...shown, sealedPrivateKey } : shown;
}

/** Puts a certificate; upstreams that name it follow when it is renamed. */
export function putCertificate(draft: Draft, certificate: Certificate): Certificate {
  const before = draft.get('certificate', certificate.id);
  const after = draft.put('certificate', certificate);
  if (before === undefined || before.name === after.name) return after;
  for (const upstream of [...draft.all('upstream').values()]) {
    if (upstream.tls.clientCertificate?.name !== before.name) continue;
    draft.put('upstream', { ...upstream, tls: { ...upstream.tls, clientCertificate: { name: after.name } } });
  }
  return after;
}

/** Removes a certificate. @throws IN_USE naming the upstreams that show it to their targets */
export function removeCertificate(draft: Draft, certificate: Certificate): void {
  const users = [...draft.all('upstream').values()].filter(
    ({ tls }) => tls.clientCertificate?.name === certificate.name,
  );
  if (users.length > 0) {
    const upstreams = users.slice(0, 10).map(({ name }) => name);
    const more = users.length > upstreams.length ? ` and ${users.length - upstreams.length} more` : '';
    throw new AdminError('IN_USE', `The certificate ${certificate.name} is used by: ${upstreams.join(', ')}${more}.`, {
      facts: { upstreams },
    });
  }
  draft.remove('certificate', certificate.id);
}
