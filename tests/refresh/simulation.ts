// Does to two processes of the service what it does to the model, and compares.
import { createHash } from 'node:crypto';
import { expect } from '@jest/globals';
import type { Response } from 'supertest';
import { type Account, password, type Tokens } from '../harness.ts';
import { generationOf, granted, refusal, secretOf } from '../support/refresh-tokens.ts';
import { letPass, readSessionsOf } from '../support/session-rows.ts';
import { atOnce, type Workers } from '../support/workers.ts';
import { bornAt, isLiveAt, type ModelSession, tick, turn, type Verdict, verdict } from './model.ts';

/** One thing that happens. Sessions and tokens are named by numbers, which wrap around what there is. */
export type Step =
  | { do: 'turn'; session: number; times: number }
  | { do: 'replay'; session: number; back: number }
  | { do: 'burst'; session: number; back: number; count: number }
  | { do: 'pass'; ticks: number }
  | { do: 'login'; correctly: boolean }
  | { do: 'logout'; session: number; back: number }
  | { do: 'logoutRace'; session: number; count: number }
  | { do: 'logoutAll'; session: number }
  | { do: 'changePassword'; session: number };

type StepOf<Kind extends Step['do']> = Extract<Step, { do: Kind }>;
type Acts = { [Kind in Step['do']]: (step: StepOf<Kind>) => Promise<void> };

/** Begins with an account that has one session. Tells of every verdict that the services were held to. */
export async function makeSimulation(workers: Workers, tell: (verdict: Verdict) => void) {
  const account: Account = await workers.first.register();
  const sessions: ModelSession[] = [];
  const accessTokens = new Map<string, string>();
  let now = 0;
  let calls = 0;
  let currentPassword = password;

  const service = () => workers.at((calls += 1));
  const born = ({ session_id: id, refresh_token: token, access_token: access }: Tokens) => {
    sessions.push(bornAt(now, id, token));
    accessTokens.set(id, access);
  };
  born(account);
  /** Live ones first, the latest first: the dead are of less interest. */
  const pick = (index: number): ModelSession => {
    const live = sessions.filter((session) => isLiveAt(now, session)).reverse();
    const dead = sessions.filter((session) => !isLiveAt(now, session)).reverse();
    return [...live, ...dead][index % sessions.length] as ModelSession;
  };
  const tokenOf = (session: ModelSession, back: number): [generation: number, token: string] => {
    const generation = session.tokens.length - 1 - (back % session.tokens.length);
    return [generation, session.tokens[generation] as string];
  };
  const newest = (session: ModelSession) => tokenOf(session, 0)[1];

  const noteSuccessor = (session: ModelSession, successor: string) => {
    expect(session.tokens).not.toContain(successor);
    expect(generationOf(successor)).toBe(session.tokens.length);
    turn(now, session, successor);
  };

  /** One token, from as many clients at once as there are answers. */
  const judge = (session: ModelSession, generation: number, answers: readonly Response[]) => {
    const expected = verdict(now, session, generation);
    tell(expected);
    if (expected === 'turned' || expected === 'replayed') {
      const tokens = new Set(answers.map(granted));
      expect(tokens.size).toBe(1);
      if (expected === 'turned') noteSuccessor(session, [...tokens].join());
      else expect([...tokens]).toEqual([newest(session)]);
      return;
    }
    const reasons = new Set(answers.map(refusal));
    if (expected === 'reused') {
      session.revoked = true;
      expect(reasons).toContain('reused');
      for (const reason of reasons) expect(['reused', 'revoked']).toContain(reason);
    } else if (expected === 'too_far_behind') {
      for (const reason of reasons) expect(['reused', 'revoked', undefined]).not.toContain(reason);
    } else expect([...reasons]).toEqual([expected]);
  };

  const present = async (session: ModelSession, back: number, count: number) => {
    const [generation, token] = tokenOf(session, back);
    judge(session, generation, await atOnce(count, () => service().refresh(token)));
  };

  const endAllBut = (kept: ModelSession | undefined) => {
    for (const session of sessions) if (session !== kept && isLiveAt(now, session)) session.revoked = true;
  };

  /** A call that acts for a live session; it must be refused where the session is not live. */
  const asCaller = async (principal: ModelSession, path: string, body: object | undefined, done: () => void) => {
    const { status } = await service().post(path, body, accessTokens.get(principal.id) ?? '');
    expect(status).toBe(isLiveAt(now, principal) ? 204 : 401);
    if (status === 204) done();
  };

  const acts: Acts = {
    async turn({ session: index, times }) {
      const session = pick(index);
      for (let done = 0; done < times; done += 1) await present(session, 0, 1);
    },
    replay: ({ session, back }) => present(pick(session), back, 1),
    burst: ({ session, back, count }) => present(pick(session), back, count),
    async pass({ ticks }) {
      now += ticks * tick;
      await letPass(
        workers.sql,
        ticks * tick,
        sessions.map(({ id }) => id),
      );
    },
    async login({ correctly }) {
      const response = await service().login(account.email, correctly ? currentPassword : `not ${currentPassword}`);
      expect(response.status).toBe(correctly ? 200 : 401);
      if (correctly) born(response.body as Tokens);
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
      const token = newest(session);
      const turns = atOnce(count, () => service().refresh(token));
      const logout = service().post('/logout', { refresh_token: token });
      expect((await logout).status).toBe(204);
      const successors = new Set((await turns).flatMap((answer) => (answer.status === 200 ? [granted(answer)] : [])));
      expect(successors.size).toBeLessThanOrEqual(1);
      for (const successor of successors) noteSuccessor(session, successor);
      session.revoked = true;
    },
    logoutAll: ({ session }) => asCaller(pick(session), '/logout/all', undefined, () => endAllBut(undefined)),
    async changePassword({ session }) {
      const [principal, next] = [pick(session), `a quieter mare, number ${(calls += 1)}`];
      const body = { current_password: currentPassword, new_password: next };
      await asCaller(principal, '/me/password', body, () => {
        endAllBut(principal);
        currentPassword = next;
      });
    },
  };

  return {
    async take(step: Step): Promise<void> {
      if (!sessions.some((session) => isLiveAt(now, session))) await acts.login({ do: 'login', correctly: true });
      await (acts[step.do] as (step: Step) => Promise<void>)(step);
    },

    /** That the rows say what the model says. */
    async compareRows() {
      const rows = await readSessionsOf(workers.sql, account.user.id);
      const told = rows.map(({ id, generation, tokenHash, revokedReason }) => ({
        id,
        generation,
        tokenHash: tokenHash.toString('hex'),
        revoked: revokedReason !== null,
      }));
      const expected = sessions.map((session) => ({
        id: session.id,
        generation: session.tokens.length - 1,
        tokenHash: createHash('sha256')
          .update(secretOf(newest(session)))
          .digest('hex'),
        revoked: session.revoked,
      }));
      expect(told.sort(byId)).toEqual(expected.sort(byId));
      for (const { turns, salts } of rows) expect([turns, turns <= 8]).toEqual([salts, true]);
    },
  };
}

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);
