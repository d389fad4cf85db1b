/** What clients may rely on. `detail` is one sentence for people; it never tells whether an account exists. */
export interface RefusalKind {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  /** Whether it bears `WWW-Authenticate`. */
  readonly challenges?: boolean;
}

export interface RefusalExtras {
  /** Further members of the problem document, such as `errors`. */
  members?: Readonly<Record<string, unknown>>;
  headers?: Readonly<Record<string, string>>;
}

/** An expected "no". It has two voices: `kind` is public, `reason` is for the log only. */
export abstract class Refusal extends Error {
  readonly kind: RefusalKind;
  readonly reason: string;
  readonly extras: RefusalExtras;

  constructor(kind: RefusalKind, reason: string, extras: RefusalExtras = {}) {
    super(`${kind.code}: ${reason}`);
    this.kind = kind;
    this.reason = reason;
    this.extras = extras;
  }
}

/** A refusal's class, as an endpoint declares it. */
export interface RefusalClass {
  readonly kind: RefusalKind;
}

/** Load is shed: nothing was done, and the same request may succeed a little later. */
export class Overloaded extends Refusal {
  static readonly kind: RefusalKind = {
    status: 503,
    code: 'overloaded',
    title: 'Too busy',
    detail: 'The service is busy. Nothing was done; try again after the time in Retry-After.',
  };
  constructor(reason: string, retryAfterSeconds: number) {
    super(Overloaded.kind, reason, { headers: { 'Retry-After': String(Math.max(1, Math.ceil(retryAfterSeconds))) } });
  }
}

/** Something that this request needs is down or still starting. The outcome of a write may be unknown: repeat it. */
export class NotReady extends Refusal {
  static readonly kind: RefusalKind = {
    status: 503,
    code: 'not_ready',
    title: 'Not ready',
    detail: 'A part of the service is not available. Repeat the same request after the time in Retry-After.',
  };
  constructor(reason: string, members: Readonly<Record<string, unknown>> = {}) {
    super(NotReady.kind, reason, { members, headers: { 'Retry-After': '1' } });
  }
}
