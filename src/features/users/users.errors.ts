import { defineError } from '../../lib/errors.ts';

export class AccountDisabled extends defineError({
  status: 409,
  code: 'conflict',
  title: 'Conflict',
  detail: 'The account is disabled, and nothing is mailed to it. Enable it first.',
}) {
  constructor() {
    super('account disabled');
  }
}
