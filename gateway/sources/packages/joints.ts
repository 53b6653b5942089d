// Plugins made of two versions: the same for the same versions, so that counts go on and bindings keep their set-ups.
// Must not load or verify a version.
import type { LoadedPlugin } from '../../core/pipeline.ts';

interface Joint {
  readonly facts: string;
  readonly parts: readonly LoadedPlugin[];
  readonly plugin: LoadedPlugin;
}

/** Says what is joined. */
export interface Joining {
  /** Of each name the last joint is known. */
  readonly name: string;
  /** The installed version first; each is lent to the caller, who gets the joint in their place. */
  readonly parts: readonly LoadedPlugin[];
  /** What else makes it another joint. */
  readonly facts: unknown;
  build(): LoadedPlugin;
}

/** Remembers joints. */
export class Joints {
  readonly #last = new Map<string, Joint>();
  readonly #installedIn = new WeakMap<LoadedPlugin, LoadedPlugin>();

  join({ name, parts, facts: data, build }: Joining): LoadedPlugin {
    const facts = JSON.stringify(data);
    const known = this.#last.get(name);
    const isSame = known?.parts.length === parts.length && known.parts.every((part, index) => part === parts[index]);
    if (known?.facts === facts && isSame) {
      known.plugin.lease?.take();
      for (const { lease } of parts) lease?.release();
      return known.plugin;
    }
    const plugin = build();
    this.#last.set(name, { facts, parts, plugin });
    const [installed] = parts;
    if (installed) this.#installedIn.set(plugin, installed);
    return plugin;
  }

  /** Gives the installed version by itself. */
  findInstalled(plugin: LoadedPlugin): LoadedPlugin {
    const installed = this.#installedIn.get(plugin);
    return installed === undefined ? plugin : this.findInstalled(installed);
  }
}
