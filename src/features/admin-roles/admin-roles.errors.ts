import { Refusal, type RefusalKind } from '../../kernel/refusal.ts';

const conflict = { status: 409, code: 'conflict', title: 'Conflict' } as const;

export class RoleExists extends Refusal {
  static readonly kind: RefusalKind = { ...conflict, detail: 'There is a role of this name already.' };
  constructor() {
    super(RoleExists.kind, 'role exists');
  }
}

export class RoleFixed extends Refusal {
  static readonly kind: RefusalKind = {
    ...conflict,
    detail: 'A built-in role stays as it is, and one that somebody has cannot be deleted.',
  };
  constructor(reason: 'built_in' | 'in_use') {
    super(RoleFixed.kind, reason);
  }
}
