import { z } from 'zod';
import type { Clock } from '../../kernel/clock.ts';
import { newId, type OneTimeTokenId, type UserId } from '../../kernel/id.ts';
import type { Database, Queryable } from '../../platform/postgres.ts';
import type { MasterKeys } from '../keys/master-keys.ts';
import { makeOpaqueTokens, type OpaqueToken } from '../tokens/opaque-token.ts';
import type { Email } from '../users/email.ts';
import { InvalidToken } from './one-time-tokens.errors.ts';
import { type Bearer, findBearer, issueToken, spendToken } from './one-time-tokens.store.ts';

/** What a link is good for. */
export type Purpose = 'verification' | 'email_change' | 'email_undo' | 'password_reset';

export const lifeSeconds: Readonly<Record<Purpose, number>> = {
  verification: 24 * 3600,
  email_change: 3600,
  email_undo: 72 * 3600,
  password_reset: 3600,
};

/** The `token` of a request's body. */
export const OneTimeToken = z
  .string()
  .max(1000)
  .meta({
    description: 'The `token` of the link that was mailed',
    examples: ['kto_AaIEQX4gd-6jYVmVqHqWkvL1s3Vd6uUOtrX0hZVLDi7p0OeVYh1kqAcNWl8nNq4Jd0lJcXbGm0l2Jt1nRZrQ8A'],
  });

/** A token that was made for a letter; `text` goes into its link and nowhere else. */
export interface IssuedToken {
  id: OneTimeTokenId;
  text: string;
}

export interface OneTimeTokens {
  /**
   * Makes a token for `userId`, bound to the purpose and to the address that it is sent to. An older one of the same
   * purpose is void from then on, but for `email_undo`.
   */
  issue(tx: Queryable, userId: UserId, purpose: Purpose, email: Email): Promise<IssuedToken>;
  /** Whose token it is, without spending it. @throws InvalidToken */
  peek(text: string, purpose: Purpose): Promise<Bearer>;
  /**
   * Spends a token and acts for its bearer in one transaction, with the user's row locked. Of any number at once, one
   * acts. `act` gives undefined where it did nothing; then the token counts as void, too. @throws InvalidToken
   */
  spend<Result>(
    text: string,
    purposes: readonly Purpose[],
    act: (tx: Queryable, bearer: Bearer) => Promise<Result | undefined>,
  ): Promise<Result>;
}

export function makeOneTimeTokens(db: Database, masterKeys: MasterKeys, clock: Clock): OneTimeTokens {
  const tokens = makeOpaqueTokens<OneTimeTokenId>('kto_', masterKeys);

  /** @throws InvalidToken, without a query, where this service never made it */
  const parse = (text: string): OpaqueToken<OneTimeTokenId> => {
    const token = tokens.parse(text);
    if (!token) throw new InvalidToken('malformed');
    return token;
  };

  return {
    async issue(tx, userId, purpose, email) {
      const { id, hash, text } = tokens.draw(newId(clock.nowMs()));
      await issueToken(tx, { id, hash, userId, purpose, email, lifeSeconds: lifeSeconds[purpose] });
      return { id, text };
    },

    async peek(text, purpose) {
      const bearer = await findBearer(db, parse(text), [purpose]);
      if (!bearer) throw new InvalidToken('not live');
      return bearer;
    },

    async spend(text, purposes, act) {
      const result = await spendToken(db, parse(text), purposes, act);
      if (result === undefined) throw new InvalidToken('not live');
      return result;
    },
  };
}
