import { lifeSeconds, type Purpose } from '../../one-time-tokens/one-time-token.ts';
import type { Message } from './layout.ts';

/** What a template may say. Nothing of it is trusted: the layout escapes it. */
export interface Facts {
  /** The greeting, with the name where it is fit for it. */
  hello: string;
  /** Where the app is, as people write it. */
  site: string;
  /** ` to ` the address that the account moves to, masked; empty where it is not told. */
  newEmail: string;
}

export type Template = (facts: Facts) => Message;

/** How long the link of a letter is good, from when it leaves. */
export function inHours(purpose: Purpose): string {
  const hours = lifeSeconds[purpose] / 3600;
  return hours === 1 ? 'an hour' : `${hours} hours`;
}
