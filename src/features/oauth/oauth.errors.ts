import { Refusal, type RefusalKind } from '../../kernel/refusal.ts';

// The words of RFC 6749 section 5.2 that no refusal of another endpoint says. `invalid_request` is what is left of those.

/** `challenges` with HTTP Basic where the client used `Authorization`, or came without anything. */
export class InvalidClient extends Refusal {
  static readonly kind: RefusalKind = {
    status: 401,
    code: 'invalid_client',
    title: 'Invalid client',
    detail: 'The client is unknown, its secret is wrong, or it did not authenticate in a way that is taken here.',
    challenges: true,
  };
  constructor(reason: string, challenges: boolean) {
    super(InvalidClient.kind, reason, challenges ? { headers: { 'WWW-Authenticate': 'Basic realm="keyturn"' } } : {});
  }
}

export class InvalidGrant extends Refusal {
  static readonly kind: RefusalKind = {
    status: 400,
    code: 'invalid_grant',
    title: 'Invalid grant',
    detail: 'The credentials or the token are not good, or the token was issued to another client.',
  };
  constructor(reason: string) {
    super(InvalidGrant.kind, reason);
  }
}

export class InvalidScope extends Refusal {
  static readonly kind: RefusalKind = {
    status: 400,
    code: 'invalid_scope',
    title: 'Invalid scope',
    detail: 'The scope is malformed, wider than what was granted, or nothing of it may be granted.',
  };
  constructor(reason: string) {
    super(InvalidScope.kind, reason);
  }
}

export class UnsupportedGrantType extends Refusal {
  static readonly kind: RefusalKind = {
    status: 400,
    code: 'unsupported_grant_type',
    title: 'Unsupported grant type',
    detail: 'The metadata of this server lists the grant types that it takes.',
  };
  constructor() {
    super(UnsupportedGrantType.kind, 'grant type');
  }
}
