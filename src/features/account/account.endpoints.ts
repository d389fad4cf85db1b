import { z } from 'zod';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import { DisplayName, NewPassword, PresentedPassword, whenText } from '../../core/users/user.ts';
import { User } from '../../http/schemas/user.ts';
import { AccountLocked, InvalidCredentials, LastAdmin } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { Overloaded } from '../../lib/errors.ts';
import type { MyAccount } from './account.ts';

const UpdateMeRequest = z
  .strictObject({ display_name: DisplayName })
  .meta({ id: 'UpdateMeRequest', examples: [{ display_name: 'Ada King' }] });

const changePasswordRequest = (policy: PasswordPolicy) =>
  z
    .strictObject({ current_password: PresentedPassword, new_password: NewPassword })
    .superRefine(({ new_password: password }, context) => {
      for (const message of policy.knownFaults(password))
        context.addIssue({ code: 'custom', path: ['new_password'], message });
    }, whenText('new_password'))
    .meta({
      id: 'ChangePasswordRequest',
      examples: [{ current_password: 'correct horse battery staple', new_password: 'a quieter mare and no battery' }],
    });

const DeleteMeRequest = z
  .strictObject({ current_password: PresentedPassword })
  .meta({ id: 'DeleteMeRequest', examples: [{ current_password: 'correct horse battery staple' }] });

export const myAccountRoutes = (account: MyAccount, policy: PasswordPolicy) => [
  endpoint({
    method: 'get',
    path: '/me',
    operationId: 'getMe',
    tag: 'Accounts',
    summary: 'Read your account',
    scopes: ['profile'],
    response: User,
    handle: ({ principal }) => account.read(principal),
  }),
  endpoint({
    method: 'patch',
    path: '/me',
    operationId: 'updateMe',
    tag: 'Accounts',
    summary: 'Change your display name',
    scopes: ['profile'],
    body: UpdateMeRequest,
    response: User,
    handle: ({ principal, body }) => account.rename(principal, body.display_name),
  }),
  endpoint({
    method: 'post',
    path: '/me/password',
    operationId: 'changePassword',
    tag: 'Accounts',
    summary: 'Change your password',
    description: 'Ends every session of yours but the one that calls.',
    rateLimit: 'login',
    scopes: ['profile'],
    body: changePasswordRequest(policy),
    errors: [InvalidCredentials, AccountLocked, Overloaded],
    handle: ({ principal, body, request }) =>
      account.changePassword(principal, body.current_password, body.new_password, request),
  }),
  endpoint({
    method: 'post',
    path: '/me/delete',
    operationId: 'deleteMe',
    tag: 'Accounts',
    summary: 'Delete your account and everything of it',
    rateLimit: 'login',
    scopes: ['profile'],
    body: DeleteMeRequest,
    errors: [InvalidCredentials, AccountLocked, LastAdmin, Overloaded],
    handle: ({ principal, body, request }) => account.erase(principal, body.current_password, request),
  }),
];
