/** Why the user is signed out. `logged_out`: in this tab or another one. The service reports the other reasons. */
export type SignedOutReason = 'logged_out' | 'expired' | 'revoked' | 'reused' | 'unknown_session' | 'invalid';

/** One invalid field of a request. */
export interface FieldError {
  path: string;
  message: string;
}

/** Codes of errors that do not come from the service. */
export type ClientErrorCode =
  | 'network' // no response
  | 'timeout'
  | 'invalid_response' // truncated, or not from the service: for example, a proxy's error page
  | 'storage_failed' // the app's `TokenStorage` threw
  | 'signed_out' // no user is signed in
  | 'superseded' // a logout canceled the call
  | 'aborted' // the app aborted the call with its own signal
  | 'invalid_request' // arguments that cannot be sent, such as an invalid header of `fetch` or a cyclic object
  | 'url_not_allowed'; // `fetch` was called with a URL that is not below `baseUrl` or one of `apis`

export interface ErrorMembers {
  status?: number | undefined;
  detail?: string | undefined;
  errors?: readonly FieldError[] | undefined;
  reason?: SignedOutReason | undefined;
  requestId?: string | undefined;
  retryAfterSeconds?: number | undefined;
  cause?: unknown;
}

const temporaryCodes = ['network', 'timeout', 'invalid_response', 'storage_failed'];
const temporaryStatuses = [408, 425, 429];

/** The error of every rejected promise. Programs decide by `code`. No member contains a token. */
export class KeyturnError extends Error {
  override readonly name = 'KeyturnError';
  /** The `code` of the service's problem document, or a `ClientErrorCode`. */
  readonly code: string;
  readonly status: number | undefined;
  /** A sentence for the user. */
  readonly detail: string;
  /** The invalid fields if `code` is `validation_failed`. */
  readonly errors: readonly FieldError[];
  /** Set if `code` is `signed_out` or `invalid_refresh_token`. */
  readonly reason: SignedOutReason | undefined;
  /** Identifies the request in the service's log. */
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number;

  constructor(code: string, members: ErrorMembers = {}) {
    const { status, detail = code, errors = [], reason, requestId, retryAfterSeconds = 0, cause } = members;
    super(detail, { cause });
    this.code = code;
    this.status = status;
    this.detail = detail;
    this.errors = errors;
    this.reason = reason;
    this.requestId = requestId;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** Whether the same call may succeed later. */
  get isTemporary(): boolean {
    const { code, status = 0 } = this;
    return temporaryCodes.includes(code) || temporaryStatuses.includes(status) || status >= 500;
  }
}

export const hasCode = (error: unknown, code: string): error is KeyturnError =>
  error instanceof KeyturnError && error.code === code;

export function withRetryAfter(error: KeyturnError, retryAfterSeconds: number): KeyturnError {
  const { code, status, detail, errors, reason, requestId } = error;
  return new KeyturnError(code, { status, detail, errors, reason, requestId, retryAfterSeconds });
}

export const signedOutError = (reason: SignedOutReason) =>
  new KeyturnError('signed_out', { detail: 'No user is signed in. Log in again.', reason });

export const throwIfAborted = (signal: AbortSignal): void => {
  if (signal.aborted) throw new KeyturnError('superseded');
};
