// Makes a draft pass `sallyport check`: what the check refuses is left out, told, and whom it guarded goes off.
// Must not judge by rules of its own: the check is the admin's.
import { checkConfig } from '../check-config.ts';
import { CommandError } from '../output.ts';
import type { Settings } from '../settings.ts';
import type { ApiDraft, BindingDraft, ConsumerDraft, ImportDraft, Placed, RouteDraft } from './draft.ts';

/** Each round tells up to fifty faults; a file with more than this is better looked at first. */
const MAX_ROUNDS = 40;
/** Stands for a password in the check: hashing each would take fifty milliseconds. */
const SOME_PASSWORD_HASH = 'scrypt$16384$8$1$c2FsdA$aGFzaA';

/** A schema's pattern may be longer than anybody reads. */
const MAX_REASON_LENGTH = 200;

interface Fault {
  readonly pointer: string;
  readonly message: string;
}

/** Leaves out what would be refused, and gives the counts of what is left. @throws CommandError when too much is wrong */
export async function settle(draft: ImportDraft, settings: Settings): Promise<string> {
  const { AdminError } = await import('../../admin/errors.ts');
  let first: Fault | undefined;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    try {
      return await checkConfig(hidePasswords(draft.toDocument()), settings);
    } catch (error) {
      if (error instanceof Error && error.name === 'PluginError') throw new CommandError(error.message);
      if (!(error instanceof AdminError)) throw error;
      const problems = error.options.problems ?? [];
      const [problem] = problems;
      if (problem === undefined) throw new CommandError(error.message);
      first ??= problem;
      leaveOut(draft, problems);
    }
  }
  throw new CommandError(`too much of it cannot be translated; first, ${first?.pointer}: ${first?.message}`);
}

function hidePasswords(document: Record<string, unknown>): Record<string, unknown> {
  const consumers = document['consumers'] as readonly Record<string, unknown>[] | undefined;
  if (consumers === undefined) return document;
  return { ...document, consumers: consumers.map(hidePasswordsOf) };
}

function hidePasswordsOf(consumer: Record<string, unknown>): Record<string, unknown> {
  const credentials = consumer['credentials'] as readonly Record<string, unknown>[] | undefined;
  if (credentials === undefined) return consumer;
  const hidden = credentials.map(({ password, ...rest }) =>
    password === undefined ? rest : { ...rest, passwordHash: SOME_PASSWORD_HASH },
  );
  return { ...consumer, credentials: hidden };
}

function leaveOut(draft: ImportDraft, faults: readonly Fault[]): void {
  // Found before anything is taken out, since taking out moves what is behind it.
  const steps = faults.map((fault) => findStep(draft, fault));
  for (const step of steps) step();
}

function findStep(draft: ImportDraft, { pointer, message: reason }: Fault): () => void {
  const message = reason.length > MAX_REASON_LENGTH ? `${reason.slice(0, MAX_REASON_LENGTH)}...` : reason;
  const [, section = '', index = '', part, inner = '', ...rest] = pointer.split('/');
  const at = Number(index);
  const [api, upstream, certificate] = [draft.apis[at], draft.upstreams[at], draft.certificates[at]];
  const [consumer, binding] = [draft.consumers[at], draft.bindings[at]];
  if (section === 'apis' && api !== undefined) {
    const route = part === 'routes' && inner !== '' ? api.routes[Number(inner)] : undefined;
    if (route !== undefined) return () => leaveOutRoute(draft, { api, route, where: rest.join('.'), message });
    return () => removeApi(draft, api, message);
  }
  if (section === 'upstreams' && upstream !== undefined) return () => removeUpstream(draft, upstream, message);
  if (section === 'certificates' && certificate !== undefined) {
    return () => removeCertificate(draft, certificate, message);
  }
  if (section === 'consumers' && consumer !== undefined) {
    const credential = part === 'credentials' && inner !== '' ? consumer.credentials[Number(inner)] : undefined;
    if (credential === undefined) return () => removeConsumer(draft, consumer, message);
    return () => {
      if (remove(consumer.credentials, credential)) draft.note(credential.place, `credential left out: ${message}`);
    };
  }
  if (section === 'bindings' && binding !== undefined) {
    const where = [part, inner, ...rest].filter(Boolean).join('.');
    return () => removeBinding(draft, binding, `${where}: ${message}`);
  }
  throw new CommandError(`it cannot be translated: ${pointer}: ${message}`);
}

interface RouteFault {
  readonly api: ApiDraft;
  readonly route: RouteDraft;
  readonly where: string;
  readonly message: string;
}

function leaveOutRoute(draft: ImportDraft, { api, route, where, message }: RouteFault): void {
  if (!remove(api.routes, route)) return;
  api.hasLostRoutes = true;
  draft.switchOff([api], route.place, `route left out, ${where}: ${message}`);
  dropBindings(draft, ({ scope }) => scope['api'] === api.name && scope['route'] === route.name);
}

function removeApi(draft: ImportDraft, api: ApiDraft, message: string): void {
  if (!remove(draft.apis, api)) return;
  api.isOff = true;
  api.hasLostRoutes = true;
  draft.removedApis.push(api);
  draft.note(api.place, `left out whole: ${message}`);
  dropBindings(draft, ({ scope }) => scope['api'] === api.name);
}

function removeUpstream(draft: ImportDraft, upstream: Placed, message: string): void {
  if (!remove(draft.upstreams, upstream)) return;
  draft.note(upstream.place, `upstream left out: ${message}`);
  for (const api of usersOf(draft, upstream))
    removeApi(draft, api, `its upstream ${upstream.value['name']} is left out`);
}

function removeCertificate(draft: ImportDraft, certificate: Placed, message: string): void {
  if (!remove(draft.certificates, certificate)) return;
  draft.note(certificate.place, `certificate left out: ${message}`);
  for (const upstream of draft.upstreams) {
    const tls = upstream.value['tls'] as Record<string, unknown> | undefined;
    const shown = tls?.['clientCertificate'] as Record<string, unknown> | undefined;
    if (tls === undefined || shown?.['name'] !== certificate.value['name']) continue;
    delete tls['clientCertificate'];
    draft.switchOff(usersOf(draft, upstream), upstream.place, 'the certificate that targets are shown is left out');
  }
}

function removeConsumer(draft: ImportDraft, consumer: ConsumerDraft, message: string): void {
  if (!remove(draft.consumers, consumer)) return;
  draft.note(consumer.place, `consumer left out: ${message}`);
  dropBindings(draft, ({ scope }) => scope['consumer'] === consumer.username);
}

function removeBinding(draft: ImportDraft, binding: BindingDraft, message: string): void {
  if (!remove(draft.bindings, binding)) return;
  const what = `${binding.value['plugin']} left out: ${message}`;
  if (binding.consumers.length > 0) draft.silence(binding.consumers, binding.place, what);
  else draft.switchOff(binding.apis, binding.place, what);
}

function usersOf(draft: ImportDraft, upstream: Placed): readonly ApiDraft[] {
  const isUser = ({ fields }: ApiDraft): boolean =>
    (fields['upstream'] as Record<string, unknown>)['name'] === upstream.value['name'];
  return draft.apis.filter(isUser);
}

/** Takes out bindings of what is gone itself. */
function dropBindings(
  draft: ImportDraft,
  isGone: (part: { readonly scope: Record<string, unknown> }) => boolean,
): void {
  const kept = draft.bindings.filter(({ value }) => !isGone({ scope: value['scope'] as Record<string, unknown> }));
  draft.bindings.splice(0, Infinity, ...kept);
}

function remove<Item>(items: Item[], item: Item): boolean {
  const at = items.indexOf(item);
  if (at !== -1) items.splice(at, 1);
  return at !== -1;
}
