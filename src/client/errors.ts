/** Why a session is over. `logged_out`: here or in another tab. The others are what the service says of the refresh token. */
export type SignedOutReason = 'logged_out' | 'expired' | 'revoked' | 'reused' | 'unknown_session' | 'invalid';

/** One fault of a request. */
export interface Fault {
  path: string;
  message: string;
}

/** What this library calls what the service has no say in. */
export type OwnCode =
  | 'network' // no answer came through
  | 'timeout'
  | 'bad_answer' // an answer, but not of the service: a proxy's page, or half of one
  | 'storage_failed'
  | 'signed_out'
  | 'superseded' // a later sign-out took its place
  | 'foreign_address'; // an access token was about to go where it must not

export interface ErrorMembers {
  status?: number | undefined;
  detail?: string | undefined;
  errors?: readonly Fault[] | undefined;
  reason?: SignedOutReason | undefined;
  requestId?: string | undefined;
  retryAfterSeconds?: number | undefined;
  cause?: unknown;
}

const temporaryCodes = ['network', 'timeout', 'bad_answer', 'storage_failed'];
const temporaryStatuses = [408, 425, 429];

/** Programs decide by `code`; `detail` is a sentence for people. No token ever stands in it. */
export class KeyturnError extends Error {
  override readonly name = 'KeyturnError';
  /** Of the service's problem document, or an `OwnCode`. */
  readonly code: string;
  readonly status: number | undefined;
  readonly detail: string;
  /** Every fault of the request, where `code` is `validation_failed`. */
  readonly errors: readonly Fault[];
  /** Where `code` is `signed_out` or `invalid_refresh_token`. */
  readonly reason: SignedOutReason | undefined;
  /** What the service's log has this request under. */
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
  /** The same, so many seconds later. */
  after(seconds: number): KeyturnError {
    const { code, status, detail, errors, reason, requestId, retryAfterSeconds } = this;
    const left = { retryAfterSeconds: retryAfterSeconds - seconds };
    return new KeyturnError(code, { status, detail, errors, reason, requestId, ...left });
  }
}
