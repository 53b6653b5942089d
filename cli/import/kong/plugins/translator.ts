// What a translation of one plugin's configuration gets and gives.
// Must not know a plugin.
import { isDeepStrictEqual } from 'node:util';
import type { Fields } from '../../source.ts';

/** Is one plugin of the file, to be translated. */
export interface PluginCall {
  /** Kong's configuration; a field with a value that nobody asks for keeps the plugin from being exact. */
  readonly options: Fields;
  /** Is what the plugin is bound to besides consumers and groups. */
  readonly bound: 'route' | 'service' | 'nothing';
  /** Routes of the service it is bound to. */
  readonly routeCount: number;
  /** Says that something lets in more, less or others than in Kong. */
  trouble(message: string): void;
  /** Says that something is other, and changes nobody's access. */
  tell(message: string): void;
}

/** Gives our configuration; undefined when there is none that says at least part of it. */
export type Translator = (call: PluginCall) => Record<string, unknown> | undefined;

/** Reports an option unless it is absent or has one of these values. */
export function expectOnly(
  call: PluginCall,
  key: string,
  {
    values,
    otherwise,
    isHarmless,
  }: { readonly values: readonly unknown[]; readonly otherwise: string; readonly isHarmless?: boolean },
): void {
  const value = call.options.get(key);
  if (value === undefined || values.some((one) => isDeepStrictEqual(one, value))) return;
  if (isHarmless) call.tell(`${key}: ${otherwise}`);
  else call.trouble(`${key}: ${otherwise}`);
}
