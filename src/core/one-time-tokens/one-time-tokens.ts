import type { Clock } from '../../lib/clock.ts';
import { newId, type OneTimeTokenId, type UserId } from '../../lib/ids.ts';
import type { MasterKeys } from '../../lib/master-keys.ts';
import { type Database, type Transaction, UniqueViolation } from '../../platform/postgres.ts';
import { makeOpaqueTokens, type OpaqueToken } from '../tokens/opaque-token.ts';
import type { EmailAddress } from '../users/email-address.ts';
import { InvalidToken, lifetimeSeconds, type Purpose } from './one-time-token.ts';
import { deleteToken, findTokenHolder, lockUserOfToken, type TokenHolder, upsertToken } from './one-time-tokens.sql.ts';

/** A new token. `text` goes into the link of an email and nowhere else. */
export interface IssuedToken {
  id: OneTimeTokenId;
  text: string;
}

export interface OneTimeTokens {
  /**
   * Issues a token for a user, bound to a purpose and to the address that it is sent to. Voids the user's older token of the
   * same purpose, unless the purpose is `email_undo`. `nowMs` orders the tokens of a user: those of `email_undo` need the time of
   * the database, because their order decides which ones an undo overrides.
   */
  issue(tx: Transaction, userId: UserId, purpose: Purpose, email: EmailAddress, nowMs?: number): Promise<IssuedToken>;
  /** Returns the holder of a token without spending it. @throws InvalidToken */
  find(token: string, purpose: Purpose): Promise<TokenHolder>;
  /**
   * Spends a token and acts for its holder in one transaction, in which the user's row is locked. Of concurrent calls, one acts.
   * `act` returns false if it changed nothing because the token no longer applies; the token is spent nevertheless.
   * @throws InvalidToken, and what `act` throws, which leaves the token valid
   */
  spend(
    token: string,
    purposes: readonly Purpose[],
    act: (tx: Transaction, holder: TokenHolder) => Promise<boolean>,
  ): Promise<void>;
}

export function makeOneTimeTokens(db: Database, masterKeys: MasterKeys, clock: Clock): OneTimeTokens {
  const tokens = makeOpaqueTokens<OneTimeTokenId>('kto_', masterKeys);

  /** @throws InvalidToken, without a query, if this service did not issue the token */
  const parse = (presented: string): OpaqueToken<OneTimeTokenId> => {
    const token = tokens.parse(presented);
    if (!token) throw new InvalidToken('malformed');
    return token;
  };

  return {
    async issue(tx, userId, purpose, email, nowMs = clock.nowMs()) {
      const { id, hash, text } = tokens.draw(newId(nowMs));
      await upsertToken(tx, { id, hash, userId, purpose, email, lifetimeSeconds: lifetimeSeconds[purpose] });
      return { id, text };
    },

    async find(presented, purpose) {
      const holder = await findTokenHolder(db, parse(presented), purpose);
      if (!holder) throw new InvalidToken('not valid');
      return holder;
    },

    async spend(presented, purposes, act) {
      const token = parse(presented);
      const hasActed = await db
        .transaction(async (tx) => {
          // Everyone who voids tokens locks the user first, so the token is deleted after this lock.
          await lockUserOfToken(tx, token.id);
          const holder = await deleteToken(tx, token, purposes);
          return holder !== undefined && act(tx, holder);
        })
        .catch(rejectTakenAddress);
      if (!hasActed) throw new InvalidToken('not valid');
    },
  };
}

/** Another account has taken the address of the token in the meantime. */
function rejectTakenAddress(error: unknown): never {
  throw error instanceof UniqueViolation ? new InvalidToken('address taken') : error;
}

/** Voids all tokens of a user except those that undo an email change. The transaction must hold the lock of the user's row. */
export async function invalidateTokens(tx: Transaction, userId: UserId): Promise<void> {
  await tx.oneTimeToken.deleteMany({ where: { userId, purpose: { not: 'email_undo' } } });
}
