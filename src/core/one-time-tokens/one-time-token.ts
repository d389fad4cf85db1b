import { unicodeText } from '../../lib/text.ts';
import type { Clock } from '../../lib/clock.ts';
import { newId, type OneTimeTokenId, type UserId } from '../../lib/ids.ts';
import { type Database, type Transaction, UniqueViolation } from '../../platform/postgres.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';
import { makeOpaqueTokens, type OpaqueToken } from '../tokens/opaque-token.ts';
import type { EmailAddress } from '../users/email-address.ts';
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

export const tokenExample = `kto_${'A'.repeat(86)}`;

/** The `token` of a request's body. */
export const OneTimeToken = unicodeText()
  .max(1000, { error: 'must have at most 1000 characters' })
  .meta({ description: 'The `token` of the link that was mailed', examples: [tokenExample] });

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
  issue(tx: Transaction, userId: UserId, purpose: Purpose, email: EmailAddress): Promise<IssuedToken>;
  /** Whose token it is, without spending it. @throws InvalidToken */
  peek(token: string, purpose: Purpose): Promise<Bearer>;
  /**
   * Spends a token and acts for its bearer in one transaction, with the user's row locked. Of any number at once, one
   * acts. `act` gives undefined where it did nothing; then the token counts as void, too. @throws InvalidToken
   */
  spend<Result>(
    token: string,
    purposes: readonly Purpose[],
    act: (tx: Transaction, bearer: Bearer) => Promise<Result | undefined>,
  ): Promise<Result>;
}

export function makeOneTimeTokens(db: Database, masterKeys: MasterKeys, clock: Clock): OneTimeTokens {
  const tokens = makeOpaqueTokens<OneTimeTokenId>('kto_', masterKeys);

  /** @throws InvalidToken, without a query, where this service never made it */
  const parse = (presented: string): OpaqueToken<OneTimeTokenId> => {
    const token = tokens.parse(presented);
    if (!token) throw new InvalidToken('malformed');
    return token;
  };

  return {
    async issue(tx, userId, purpose, email) {
      const { id, hash, text: secret } = tokens.draw(newId(clock.nowMs()));
      await issueToken(tx, { id, hash, userId, purpose, email, lifeSeconds: lifeSeconds[purpose] });
      return { id, text: secret };
    },

    async peek(presented, purpose) {
      const bearer = await findBearer(db, parse(presented), [purpose]);
      if (!bearer) throw new InvalidToken('not live');
      return bearer;
    },

    async spend(presented, purposes, act) {
      const result = await spendToken(db, parse(presented), purposes, act).catch((error: unknown) => {
        if (error instanceof UniqueViolation) throw new InvalidToken('overtaken'); // another account took the address just now
        throw error;
      });
      if (result === undefined) throw new InvalidToken('not live');
      return result;
    },
  };
}
