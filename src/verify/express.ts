import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessClaims } from './claims.ts';
import { InvalidTokenError, KeysUnavailableError } from './errors.ts';
import type { Verifier } from './verifier.ts';
import { type Problem, problems, sendProblem } from './problem.ts';

declare global {
  namespace Express {
    interface Request {
      /** Set by `requireAuth`. */
      auth?: AccessClaims;
    }
  }
}

/** What is used of a request of Express 4 and 5. */
export type AuthRequest = IncomingMessage & { auth?: AccessClaims };

export type Guard<Req extends AuthRequest = AuthRequest> = (
  req: Req,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void;

export interface AuthOptions {
  /** Stands in the challenge (RFC 9110 section 11.5). */
  realm?: string;
  /** For the log: what the caller is not told. */
  onRefused?: (error: InvalidTokenError | KeysUnavailableError, req: AuthRequest) => void;
}

/** Printable, without quote and backslash (RFC 6749 section 3.3): nothing that could end a quoted string. */
const quotable = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Express 4 waits for no promise, and would leave a request whose check failed without an answer. */
const guard =
  <Req extends AuthRequest>(passes: (req: Req, res: ServerResponse) => Promise<boolean>): Guard<Req> =>
  (req, res, next) => {
    const settle = async () => {
      try {
        if (!(await passes(req, res))) return;
      } catch (error) {
        return next(error);
      }
      next();
    };
    void settle();
  };

/** RFC 6750 section 2.1. Never of the URL or a form. */
const bearerToken = (header = ''): string | undefined => /^Bearer +([^ ]+) *$/i.exec(header)?.[1];

/** Lets requests with a good access token through, with its claims in `req.auth`; answers 401 to others. */
export function requireAuth(verifier: Verifier, { realm = 'api', onRefused }: AuthOptions = {}): Guard {
  if (!quotable.test(realm)) throw new TypeError('realm has characters that a challenge cannot hold');
  const refuse = (res: ServerResponse, problem: Problem, parameters = '') =>
    sendProblem(res, verifier.issuer, problem, { 'WWW-Authenticate': `Bearer realm="${realm}"${parameters}` });

  return guard(async (req, res) => {
    const [header, ...others] = req.headersDistinct['authorization'] ?? [];
    if (others.length > 0) return refuse(res, problems.severalTokens, ', error="invalid_request"');
    const token = bearerToken(header);
    // RFC 6750 section 3.1: without credentials the challenge bears no error code.
    if (token === undefined) return refuse(res, problems.missingToken);
    try {
      req.auth = await verifier.verify(token);
      return true;
    } catch (error) {
      if (error instanceof InvalidTokenError) {
        onRefused?.(error, req);
        return refuse(res, problems.invalidToken, ', error="invalid_token"');
      }
      if (!(error instanceof KeysUnavailableError)) throw error;
      onRefused?.(error, req);
      const headers = { 'Retry-After': String(error.retryAfterSeconds) };
      return sendProblem(res, verifier.issuer, problems.notReady, headers);
    }
  });
}

/** The claims that `requireAuth` has set. @throws where it does not stand before: no route is open by mistake */
export function authOf(req: { auth?: AccessClaims }): AccessClaims {
  if (!req.auth) throw new Error('requireAuth must stand before this');
  return req.auth;
}

/** Lets tokens through that hold this scope; answers 403 to others. Stands after `requireAuth`. */
export function requireScope(scope: string, { realm = 'api' }: Pick<AuthOptions, 'realm'> = {}): Guard {
  if (!quotable.test(scope) || !quotable.test(realm)) throw new TypeError(`not the name of one scope: ${scope}`);
  const challenge = `Bearer realm="${realm}", error="insufficient_scope", scope="${scope}"`;
  return (req, res, next) => {
    const { iss, scopes } = authOf(req);
    if (scopes.includes(scope)) next();
    else sendProblem(res, iss, problems.insufficientScope, { 'WWW-Authenticate': challenge });
  };
}

/**
 * Lets through whom the thing belongs to: `ownerOf` says whose it is, by the user's id, or nothing where there is no
 * such thing. Both refusals are the same 404, so that nobody learns what others have. Stands after `requireAuth`.
 */
export function requireOwner<Req extends AuthRequest = AuthRequest>(
  ownerOf: (req: Req) => string | null | undefined | Promise<string | null | undefined>,
): Guard<Req> {
  return guard(async (req, res) => {
    const { iss, sub } = authOf(req);
    return (await ownerOf(req)) === sub || sendProblem(res, iss, problems.notFound, {});
  });
}
