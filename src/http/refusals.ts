import { Refusal, type RefusalKind } from '../kernel/refusal.ts';

/** One fault of a request: where, and what is wrong, without repeating the value. */
export interface Fault {
  path: string;
  message: string;
}

export class MalformedJson extends Refusal {
  static readonly kind: RefusalKind = {
    status: 400,
    code: 'malformed_json',
    title: 'Malformed JSON',
    detail: 'The body is not JSON in UTF-8.',
  };
  constructor(reason: string) {
    super(MalformedJson.kind, reason);
  }
}

export class MalformedForm extends Refusal {
  static readonly kind: RefusalKind = {
    status: 400,
    code: 'malformed_form',
    title: 'Malformed form',
    detail: 'The body is not a form whose characters are percent-encoded UTF-8.',
  };
  constructor(reason: string) {
    super(MalformedForm.kind, reason);
  }
}

/** `parameter` is the sender's word, cut to 64 characters. */
export class RepeatedParameter extends Refusal {
  static readonly kind: RefusalKind = {
    status: 400,
    code: 'repeated_parameter',
    title: 'Repeated parameter',
    detail: 'A parameter was sent more than once.',
  };
  readonly parameter: string;
  constructor(name: string) {
    const path = name.slice(0, 64);
    super(RepeatedParameter.kind, 'form', { members: { errors: [{ path, message: 'must be sent once' }] } });
    this.parameter = path;
  }
}

export class ValidationFailed extends Refusal {
  static readonly kind: RefusalKind = {
    status: 400,
    code: 'validation_failed',
    title: 'Invalid request',
    detail: 'Some parts of the request are not acceptable; `errors` names each of them.',
  };
  constructor(errors: Fault[], headers: Record<string, string> = {}) {
    super(ValidationFailed.kind, 'schema', { members: { errors }, headers });
  }
}

export class NotFound extends Refusal {
  static readonly kind: RefusalKind = {
    status: 404,
    code: 'not_found',
    title: 'Not found',
    detail: 'There is nothing here, or nothing that you may see.',
  };
  constructor(reason: string) {
    super(NotFound.kind, reason);
  }
}

export class MethodNotAllowed extends Refusal {
  static readonly kind: RefusalKind = {
    status: 405,
    code: 'method_not_allowed',
    title: 'Method not allowed',
    detail: 'This resource does not take that method; `Allow` lists those it takes.',
  };
  constructor(allow: string) {
    super(MethodNotAllowed.kind, 'method', { headers: { Allow: allow } });
  }
}

export class PayloadTooLarge extends Refusal {
  static readonly kind: RefusalKind = {
    status: 413,
    code: 'payload_too_large',
    title: 'Body too large',
    detail: 'A body may have at most 16 KiB.',
  };
  constructor() {
    super(PayloadTooLarge.kind, 'size', { headers: { Connection: 'close' } });
  }
}

export class UnsupportedMediaType extends Refusal {
  static readonly kind: RefusalKind = {
    status: 415,
    code: 'unsupported_media_type',
    title: 'Unsupported media type',
    detail: 'Send application/json in UTF-8, without a content encoding.',
  };
  constructor(reason: string) {
    super(UnsupportedMediaType.kind, reason);
  }
}

/** The same, where a form belongs. */
export class FormExpected extends Refusal {
  static readonly kind: RefusalKind = {
    ...UnsupportedMediaType.kind,
    detail: 'Send application/x-www-form-urlencoded in UTF-8, without a content encoding.',
  };
  constructor(reason: string) {
    super(FormExpected.kind, reason);
  }
}

/** RFC 6750 section 3.1: without credentials the challenge bears no error code. */
export class InvalidAccessToken extends Refusal {
  static readonly kind: RefusalKind = {
    status: 401,
    code: 'invalid_access_token',
    title: 'Invalid access token',
    detail: 'The access token is missing, malformed, expired or revoked, or it is meant for another service.',
    challenges: true,
  };
  constructor(reason: string) {
    const error = reason === 'missing' ? '' : ', error="invalid_token"';
    super(InvalidAccessToken.kind, reason, { headers: { 'WWW-Authenticate': `Bearer realm="keyturn"${error}` } });
  }
}

/** Proxies refuse an answer whose header is some KiB long, and a caller may have named a hundred scopes. */
const longestScopeInHeader = 1000;

export class InsufficientScope extends Refusal {
  static readonly kind: RefusalKind = {
    status: 403,
    code: 'insufficient_scope',
    title: 'Insufficient scope',
    detail: 'The access token does not hold the scope that this needs; ask for it by name at login.',
    challenges: true,
  };
  constructor(scope: string, reason = scope) {
    const missing = scope.length <= longestScopeInHeader ? `, scope="${scope}"` : '';
    super(InsufficientScope.kind, reason, {
      headers: { 'WWW-Authenticate': `Bearer realm="keyturn", error="insufficient_scope"${missing}` },
    });
  }
}

/** The cookie came, but not from a page of ours, as far as the request shows. */
export class CsrfFailed extends Refusal {
  static readonly kind: RefusalKind = {
    status: 403,
    code: 'csrf_failed',
    title: 'Not from a page of yours',
    detail: 'A request with the cookie needs an `Origin` that may use it, and the `X-CSRF-Token` of its session.',
  };
  constructor(reason: string) {
    super(CsrfFailed.kind, reason);
  }
}

/** A fault of ours. The log has the cause under the request's id. */
export class InternalError extends Refusal {
  static readonly kind: RefusalKind = {
    status: 500,
    code: 'internal_error',
    title: 'Internal error',
    detail: 'The service failed. Report the request id that stands in `instance`.',
  };
  constructor(reason: string) {
    super(InternalError.kind, reason);
  }
}
