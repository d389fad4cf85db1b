import { z } from 'zod';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import { DisplayName, NewPassword, PresentedPassword, User, whenText } from '../../core/users/user.ts';
import { AccountLocked, InvalidCredentials, LastAdmin } from '../../core/users/users.errors.ts';
import { endpoint } from '../../http/endpoint.ts';
import { Overloaded } from '../../kernel/refusal.ts';
import type { MyAccount } from './my-account.ts';

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
    needs: 'profile',
    reply: User,
    handle: ({ caller }) => account.read(caller),
  }),
  endpoint({
    method: 'patch',
    path: '/me',
    operationId: 'updateMe',
    tag: 'Accounts',
    summary: 'Change your display name',
    needs: 'profile',
    body: UpdateMeRequest,
    reply: User,
    handle: ({ caller, body }) => account.rename(caller, body.display_name),
  }),
  endpoint({
    method: 'post',
    path: '/me/password',
    operationId: 'changePassword',
    tag: 'Accounts',
    summary: 'Change your password',
    description: 'Ends every session of yours but the one that calls.',
    limit: 'login',
    needs: 'profile',
    body: changePasswordRequest(policy),
    refusals: [InvalidCredentials, AccountLocked, Overloaded],
    handle: ({ caller, body, client }) =>
      account.changePassword(caller, body.current_password, body.new_password, client),
  }),
  endpoint({
    method: 'post',
    path: '/me/delete',
    operationId: 'deleteMe',
    tag: 'Accounts',
    summary: 'Delete your account and everything of it',
    limit: 'login',
    needs: 'profile',
    body: DeleteMeRequest,
    refusals: [InvalidCredentials, AccountLocked, LastAdmin, Overloaded],
    handle: ({ caller, body, client }) => account.erase(caller, body.current_password, client),
  }),
];
