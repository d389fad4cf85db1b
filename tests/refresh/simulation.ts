// Applies each step to two processes of the service and to the model, and compares.
import { createHash } from 'node:crypto';
import { expect } from '@jest/globals';
import type { Response } from 'supertest';
import { type Account, password, type Tokens } from '../harness.ts';
import { generationOf, granted, rejectionReason, secretOf } from '../support/refresh-tokens.ts';
import { atOnce, type Workers } from '../support/workers.ts';
import { createdAt, isLiveAt, type ModelSession, rotate, tick, type Verdict, verdict } from './model.ts';

/** One event. Numbers select sessions and tokens, modulo their count. */
export type Step =
  | { do: 'refresh'; session: number; times: number }
  | { do: 'replay'; session: number; back: number }
  | { do: 'burst'; session: number; back: number; count: number }
  | { do: 'together'; backs: readonly number[] }
  | { do: 'pass'; ticks: number }
  | { do: 'login'; correctly: boolean }
  | { do: 'logout'; session: number; back: number }
  | { do: 'logoutRace'; session: number; count: number }
  | { do: 'logoutAll'; session: number }
  | { do: 'changePassword'; session: number };

type StepOf<Kind extends Step['do']> = Extract<Step, { do: Kind }>;
type Acts = { [Kind in Step['do']]: (step: StepOf<Kind>) => Promise<void> };

/** Starts with an account that has one session. Reports every verdict that was compared. */
export async function makeSimulation(workers: Workers, report: (verdict: Verdict) => void) {
  const account: Account = await workers.first.register();
  const sessions: ModelSession[] = [];
  const accessTokens = new Map<string, string>();
  let now = 0;
  let calls = 0;
  let currentPassword = password;

  const service = () => workers.at((calls += 1));
  const addSession = ({ session_id: id, refresh_token: token, access_token: access }: Tokens) => {
    sessions.push(createdAt(now, id, token));
    accessTokens.set(id, access);
  };
  addSession(account);
  /** Selects live sessions before ended ones, the latest first. */
  const pick = (index: number): ModelSession => {
    const live = sessions.filter((session) => isLiveAt(now, session)).reverse();
    const ended = sessions.filter((session) => !isLiveAt(now, session)).reverse();
    return [...live, ...ended][index % sessions.length] as ModelSession;
  };
  const tokenOf = (session: ModelSession, back: number): [generation: number, token: string] => {
    const generation = session.tokens.length - 1 - (back % session.tokens.length);
    return [generation, session.tokens[generation] as string];
  };
  const current = (session: ModelSession) => tokenOf(session, 0)[1];

  const expectSuccessor = (session: ModelSession, successor: string) => {
    expect(session.tokens).not.toContain(successor);
    expect(generationOf(successor)).toBe(session.tokens.length);
    rotate(now, session, successor);
  };

  /** Compares the responses to one token that was presented concurrently. */
  const compareResponses = (session: ModelSession, generation: number, responses: readonly Response[]) => {
    const expected = verdict(now, session, generation);
    report(expected);
    if (expected === 'rotated' || expected === 'unchanged' || expected === 'replayed') {
      const tokens = new Set(responses.map(granted));
      expect(tokens.size).toBe(1);
      if (expected === 'rotated') expectSuccessor(session, [...tokens].join());
      else expect([...tokens]).toEqual([current(session)]);
      return;
    }
    const reasons = new Set(responses.map(rejectionReason));
    if (expected === 'reused') {
      session.revoked = true;
      expect(reasons).toContain('reused');
      for (const reason of reasons) expect(['reused', 'revoked']).toContain(reason);
    } else {
      session.refused = true;
      expect([...reasons]).toEqual([expected]);
    }
  };

  const present = async (session: ModelSession, back: number, count: number) => {
    const [generation, token] = tokenOf(session, back);
    compareResponses(session, generation, await atOnce(count, () => service().refresh(token)));
  };

  const revokeAllExcept = (kept: ModelSession | undefined) => {
    for (const session of sessions) if (session !== kept && isLiveAt(now, session)) session.revoked = true;
  };

  /** A request with an access token. It must be refused unless the session is live. */
  const withAccessToken = async (principal: ModelSession, path: string, body: object | undefined, done: () => void) => {
    const { status } = await service().post(path, body, accessTokens.get(principal.id) ?? '');
    expect(status).toBe(isLiveAt(now, principal) ? 204 : 401);
    if (status === 204) done();
  };

  const acts: Acts = {
    async refresh({ session: index, times }) {
      const session = pick(index);
      for (let done = 0; done < times; done += 1) await present(session, 0, 1);
    },
    replay: ({ session, back }) => present(pick(session), back, 1),
    burst: ({ session, back, count }) => present(pick(session), back, count),
    /** Tokens of different sessions, each presented twice: rotations in one process share statements. */
    async together({ backs }) {
      const picked = backs.slice(0, sessions.length).map((back, index) => ({ session: pick(index), back }));
      await Promise.all(picked.map(({ session, back }) => present(session, back, 2)));
    },
    async pass({ ticks }) {
      now += ticks * tick;
      await workers.db.sessions.age(ticks * tick, ...sessions.map(({ id }) => id));
    },
    async login({ correctly }) {
      const response = await service().login(account.email, correctly ? currentPassword : `not ${currentPassword}`);
      expect(response.status).toBe(correctly ? 200 : 401);
      if (correctly) addSession(response.body as Tokens);
    },
    async logout({ session: index, back }) {
      const session = pick(index);
      const [, token] = tokenOf(session, back);
      expect((await service().post('/logout', { refresh_token: token })).status).toBe(204);
      if (isLiveAt(now, session)) session.revoked = true;
    },
    async logoutRace({ session: index, count }) {
      const session = pick(index);
      if (!isLiveAt(now, session)) return;
      const token = current(session);
      const refreshes = atOnce(count, () => service().refresh(token));
      const logout = service().post('/logout', { refresh_token: token });
      expect((await logout).status).toBe(204);
      const returned = (await refreshes).flatMap((response) => (response.status === 200 ? [granted(response)] : []));
      const successors = new Set(returned.filter((other) => other !== token));
      expect(successors.size).toBeLessThanOrEqual(1);
      for (const successor of successors) expectSuccessor(session, successor);
      session.revoked = true;
    },
    logoutAll: ({ session }) =>
      withAccessToken(pick(session), '/logout/all', undefined, () => revokeAllExcept(undefined)),
    async changePassword({ session }) {
      const [principal, next] = [pick(session), `a quieter mare, number ${(calls += 1)}`];
      const body = { current_password: currentPassword, new_password: next };
      await withAccessToken(principal, '/me/password', body, () => {
        revokeAllExcept(principal);
        currentPassword = next;
      });
    },
  };

  return {
    async take(step: Step): Promise<void> {
      if (!sessions.some((session) => isLiveAt(now, session))) await acts.login({ do: 'login', correctly: true });
      await (acts[step.do] as (step: Step) => Promise<void>)(step);
    },

    /** Compares the rows and audit events with the model. */
    async compareRows() {
      const rows = await workers.db.sessions.of(account.user.id);
      const stored = rows.map(({ id, generation, tokenHash, revokedReason }) => ({
        id,
        generation,
        tokenHash: tokenHash.toString('hex'),
        revoked: revokedReason !== null,
      }));
      const expected = sessions.map((session) => ({
        id: session.id,
        generation: session.tokens.length - 1,
        tokenHash: createHash('sha256')
          .update(secretOf(current(session)))
          .digest('hex'),
        revoked: session.revoked,
      }));
      expect(stored.sort(byId)).toEqual(expected.sort(byId));
      for (const { rotations, salts } of rows) expect([rotations, rotations <= 8]).toEqual([salts, true]);
      for (const { id, refused } of sessions) {
        const types = (await workers.db.audit.refreshesOf(id)).map(({ type }) => type);
        const refusals = types.filter((type) => type === 'refresh_token.refused').length;
        expect([types.length - refusals <= 1, refusals <= 1, refused && refusals === 0]).toEqual([true, true, false]);
      }
    },
  };
}

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);
