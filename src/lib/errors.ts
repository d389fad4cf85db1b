/** The public part of an error, stable for clients. `detail` is one sentence for people; it never says whether an account exists. */
export interface ErrorDefinition {
  readonly status: number;
  /** Identifies the error for programs. */
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  /** Whether the response has `WWW-Authenticate`. */
  readonly challenges?: boolean;
}

export interface ErrorExtras {
  /** Replaces the definition's `detail`. */
  readonly detail?: string;
  /** Additional members of the problem document, such as `errors`. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An expected error. Clients see the definition; `reason` goes to the log only. */
export class ApiError extends Error {
  readonly definition: ErrorDefinition;
  readonly reason: string;
  readonly extras: ErrorExtras;

  constructor(definition: ErrorDefinition, reason: string, extras: ErrorExtras = {}) {
    super(`${definition.code}: ${reason}`);
    this.definition = definition;
    this.reason = reason;
    this.extras = extras;
  }
}

/** An error class as endpoints declare it. */
export interface ApiErrorClass {
  readonly definition: ErrorDefinition;
}

/** Creates an error class: `class NotFound extends defineError({ … }) {}`. `reason` defaults to the code. */
export const defineError = (definition: ErrorDefinition) =>
  class extends ApiError {
    static readonly definition = definition;

    constructor(reason: string = definition.code, extras: ErrorExtras = {}) {
      super(definition, reason, extras);
    }
  };

/** The header that tells clients when to try again, in whole seconds, at least one (RFC 9110 section 10.2.3). */
export const retryAfter = (seconds: number): Pick<ErrorExtras, 'headers'> => ({
  headers: { 'Retry-After': String(Math.max(1, Math.ceil(seconds))) },
});

/** The service rejected the request before doing any work. */
export class Overloaded extends defineError({
  status: 503,
  code: 'overloaded',
  title: 'Service overloaded',
  detail: 'The service is overloaded. Nothing was changed. Try again after the number of seconds in Retry-After.',
}) {
  constructor(reason: string, retryAfterSeconds: number) {
    super(reason, retryAfter(retryAfterSeconds));
  }
}

/** A dependency is unavailable or still starting. The outcome of a write may be unknown, so clients repeat the request. */
export class NotReady extends defineError({
  status: 503,
  code: 'not_ready',
  title: 'Service unavailable',
  detail: 'Part of the service is unavailable. Repeat the same request after the number of seconds in Retry-After.',
}) {
  constructor(reason: string, members: Readonly<Record<string, unknown>> = {}) {
    super(reason, { members, ...retryAfter(1) });
  }
}

/** One invalid part of a request. The message never repeats the value. */
export interface FieldError {
  /** Member names separated by dots, a header name, or the part of the request. */
  path: string;
  message: string;
}

/** The process or command cannot work until the operator acts. The message says what to do. */
export class StartupError extends Error {}
