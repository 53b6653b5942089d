// Checks a whole configuration as PUT /v1/config would into an empty Sallyport, without a database or an admin service.
// Must not check by rules of its own: it runs the admin's.
import { randomBytes } from 'node:crypto';
import { imagineVersions } from './installs/imagined.ts';
import { findSecretKey } from './secret-key.ts';
import type { Settings } from './settings.ts';

/** Checks a document and gives what it holds, counted. @throws AdminError CONFIG_INVALID naming problems */
export async function checkConfig(body: unknown, settings: Settings): Promise<string> {
  const [{ readConfigDocument }, { hashPasswordsIn }, { applyConfig }, { Draft }] = await Promise.all([
    import('../admin/document/read-config.ts'),
    import('../admin/document/seal.ts'),
    import('../admin/document/import.ts'),
    import('../admin/document/draft.ts'),
  ]);
  const [{ EMPTY_DOCUMENT }, { checkDocument }, { atOnce }, { BUILT_IN_PLUGINS, readManifests }, { invalid }] =
    await Promise.all([
      import('../gateway/core/config.ts'),
      import('../gateway/core/check.ts'),
      import('../gateway/core/slicer.ts'),
      import('../gateway/loader.ts'),
      import('../admin/errors.ts'),
    ]);

  const plugins = await readManifests([BUILT_IN_PLUGINS, ...settings.pluginDirs]);
  const draft = new Draft(EMPTY_DOCUMENT, new Date().toISOString());
  // An export holds secrets that this Sallyport has sealed. Without any, every key seals as well as the real one.
  const secretKey = (await findSecretKey(settings)) ?? randomBytes(32);
  const config = await readConfigDocument(await hashPasswordsIn(body, EMPTY_DOCUMENT));
  const locate = await applyConfig(draft, config, {
    isMerge: false,
    allowShrink: true,
    plugins,
    findVersion: imagineVersions(body),
    secretKey,
  });
  const state = atOnce(draft.state());
  const installs = state.installs.size;
  const verdict = atOnce(checkDocument(state, { plugins, consumers: 'here' }));
  if (!verdict.ok) throw invalid(verdict.problems.map((one) => ({ pointer: locate(one), message: one.message })));
  return [
    `${state.apis.size} apis`,
    `${state.upstreams.size} upstreams`,
    `${state.certificates.size} certificates`,
    `${state.consumers.size} consumers`,
    `${state.credentials.size} credentials`,
    `${state.bindings.size} bindings`,
    ...(installs === 0
      ? []
      : [`${installs} installs, whose permissions and configurations the admin service alone can check`]),
  ].join(', ');
}
