/** The token is not valid for this service. Respond with 401; the client then refreshes. */
export class InvalidTokenError extends Error {
  readonly code = 'invalid_token';
  /** For the log. Do not send it to the client. */
  readonly reason: string;
  constructor(reason: string, options?: ErrorOptions) {
    super(`The access token is invalid: ${reason}`, options);
    this.name = 'InvalidTokenError';
    this.reason = reason;
  }
}

/** No token can be verified without the issuer's keys. Respond with 503: after a 401, users would have to log in. */
export class KeysUnavailableError extends Error {
  readonly code = 'keys_unavailable';
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number, options?: ErrorOptions) {
    super('The keys of the issuer are unavailable', options);
    this.name = 'KeysUnavailableError';
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
