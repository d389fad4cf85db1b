/** The token is not good for this service: answer 401, and the client refreshes. */
export class InvalidTokenError extends Error {
  readonly code = 'invalid_token';
  /** For the log: a caller that may not enter learns no more than that. */
  readonly reason: string;
  constructor(reason: string, options?: ErrorOptions) {
    super(`The access token is refused: ${reason}`, options);
    this.name = 'InvalidTokenError';
    this.reason = reason;
  }
}

/** Nothing can be judged without the issuer's keys: answer 503. A 401 would send people to the login for an outage. */
export class KeysUnavailableError extends Error {
  readonly code = 'keys_unavailable';
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number, options?: ErrorOptions) {
    super('The keys of the issuer cannot be had', options);
    this.name = 'KeysUnavailableError';
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
