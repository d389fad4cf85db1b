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

/** The parts of a request that Express 4 and 5 have in common. */
export type AuthRequest = IncomingMessage & { auth?: AccessClaims };

export type Middleware<Req extends AuthRequest = AuthRequest> = (
  req: Req,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void;

export interface AuthOptions {
  /** The realm of the challenge (RFC 9110 section 11.5). */
  realm?: string;
  /** Called when a request is rejected, with the reason, for the log. */
  onError?: (error: InvalidTokenError | KeysUnavailableError, req: AuthRequest) => void;
}

/** The characters of a scope (RFC 6749 section 3.3), none of which can end a quoted string. */
const quotable = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Passes rejections to `next`, because Express 4 does not handle promises. */
const asyncMiddleware =
  <Req extends AuthRequest>(isAllowed: (req: Req, res: ServerResponse) => Promise<boolean>): Middleware<Req> =>
  (req, res, next) => {
    const settle = async () => {
      try {
        if (!(await isAllowed(req, res))) return;
      } catch (error) {
        return next(error);
      }
      next();
    };
    void settle();
  };

/** RFC 6750 section 2.1. Does not accept tokens in the URL or a form. */
const parseBearerToken = (header = ''): string | undefined => /^Bearer +([^ ]+) *$/i.exec(header)?.[1];

/** Requires a valid access token and sets `req.auth` to its claims. Responds with 401 otherwise. */
export function requireAuth(verifier: Verifier, { realm = 'api', onError }: AuthOptions = {}): Middleware {
  if (!quotable.test(realm)) throw new TypeError('realm contains invalid characters');
  const reject = (res: ServerResponse, problem: Problem, parameters = '') =>
    sendProblem(res, verifier.issuer, problem, { 'WWW-Authenticate': `Bearer realm="${realm}"${parameters}` });

  return asyncMiddleware(async (req, res) => {
    const [header, ...others] = req.headersDistinct['authorization'] ?? [];
    if (others.length > 0) return reject(res, problems.multipleTokens, ', error="invalid_request"');
    const token = parseBearerToken(header);
    // RFC 6750 section 3.1: a request without credentials gets no error code.
    if (token === undefined) return reject(res, problems.missingToken);
    try {
      req.auth = await verifier.verify(token);
      return true;
    } catch (error) {
      if (error instanceof InvalidTokenError) {
        onError?.(error, req);
        return reject(res, problems.invalidToken, ', error="invalid_token"');
      }
      if (!(error instanceof KeysUnavailableError)) throw error;
      onError?.(error, req);
      const headers = { 'Retry-After': String(error.retryAfterSeconds) };
      return sendProblem(res, verifier.issuer, problems.notReady, headers);
    }
  });
}

/** Returns the claims that `requireAuth` has set. @throws if `requireAuth` did not run */
export function getAuth(req: { auth?: AccessClaims }): AccessClaims {
  if (!req.auth) throw new Error('Use requireAuth before this middleware.');
  return req.auth;
}

/** Requires a scope. Responds with 403 otherwise. Use it after `requireAuth`. */
export function requireScope(scope: string, { realm = 'api' }: Pick<AuthOptions, 'realm'> = {}): Middleware {
  if (!quotable.test(scope) || !quotable.test(realm))
    throw new TypeError(`scope or realm contains invalid characters: ${scope}`);
  const challenge = `Bearer realm="${realm}", error="insufficient_scope", scope="${scope}"`;
  return (req, res, next) => {
    const { iss, scopes } = getAuth(req);
    if (scopes.includes(scope)) next();
    else sendProblem(res, iss, problems.insufficientScope, { 'WWW-Authenticate': challenge });
  };
}

/**
 * Requires that the user owns the resource. `ownerOf` returns the user id of the owner, or null or undefined if the
 * resource does not exist. Responds with the same 404 in both cases, so that users cannot discover the resources of
 * others. Use it after `requireAuth`.
 */
export function requireOwner<Req extends AuthRequest = AuthRequest>(
  ownerOf: (req: Req) => string | null | undefined | Promise<string | null | undefined>,
): Middleware<Req> {
  return asyncMiddleware(async (req, res) => {
    const { iss, sub } = getAuth(req);
    return (await ownerOf(req)) === sub || sendProblem(res, iss, problems.notFound, {});
  });
}
