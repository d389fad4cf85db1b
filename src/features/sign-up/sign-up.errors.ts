import { defineError } from '../../lib/errors.ts';

export class EmailTaken extends defineError({
  status: 409,
  code: 'email_taken',
  title: 'Email address taken',
  detail: 'An account with this email address already exists. Log in instead.',
}) {}

export class RegistrationClosed extends defineError({
  status: 403,
  code: 'registration_closed',
  title: 'Registration closed',
  detail: 'This service does not accept new accounts.',
}) {}
