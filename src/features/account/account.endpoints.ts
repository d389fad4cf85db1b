import { z } from 'zod';
import { checksNewPassword } from '../../core/users/new-password.ts';
import type { PasswordPolicy } from '../../core/users/password-policy.ts';
import { DisplayName, NewPassword, PresentedPassword } from '../../core/users/user.ts';
import { AccountLocked, InvalidCredentials, LastAdmin } from '../../core/users/users.errors.ts';
import { type Endpoint, endpoint } from '../../http/endpoint.ts';
import { RevokeApiKeys } from '../../http/schemas/revoke-api-keys.ts';
import { toUser, User } from '../../http/schemas/user.ts';
import { Overloaded } from '../../lib/errors.ts';
import { type ChangePasswordDeps, makeChangePassword } from './change-password.ts';
import { type DeleteAccountDeps, makeDeleteAccount } from './delete-account.ts';
import { makeGetAccount } from './get-account.ts';
import { makeUpdateAccount, type UpdateAccountDeps } from './update-account.ts';

const UpdateMeRequest = z
  .strictObject({ display_name: DisplayName })
  .meta({ id: 'UpdateMeRequest', examples: [{ display_name: 'Ada King' }] });

const changePasswordRequest = (policy: PasswordPolicy) =>
  z
    .strictObject({
      current_password: PresentedPassword,
      new_password: NewPassword,
      revoke_api_keys: RevokeApiKeys,
    })
    .superRefine(...checksNewPassword(policy))
    .meta({
      id: 'ChangePasswordRequest',
      examples: [{ current_password: 'correct horse battery staple', new_password: 'a quieter mare and no battery' }],
    });

const DeleteMeRequest = z
  .strictObject({ current_password: PresentedPassword })
  .meta({ id: 'DeleteMeRequest', examples: [{ current_password: 'correct horse battery staple' }] });

export interface AccountDeps extends UpdateAccountDeps, ChangePasswordDeps, DeleteAccountDeps {
  passwordPolicy: PasswordPolicy;
}

export function accountEndpoints(deps: AccountDeps): Endpoint[] {
  const getAccount = makeGetAccount(deps);
  const updateAccount = makeUpdateAccount(deps);
  const changePassword = makeChangePassword(deps);
  const deleteAccount = makeDeleteAccount(deps);
  return [
    endpoint({
      method: 'get',
      path: '/me',
      operationId: 'getMe',
      tag: 'Accounts',
      summary: 'Get your account',
      scopes: ['profile'],
      response: User,
      handle: async ({ principal }) => toUser(await getAccount(principal)),
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
      handle: async ({ principal, body }) => toUser(await updateAccount(principal, body.display_name)),
    }),
    endpoint({
      method: 'post',
      path: '/me/password',
      operationId: 'changePassword',
      tag: 'Accounts',
      summary: 'Change your password',
      description:
        'Revokes all your sessions except the current one. API keys keep working unless `revoke_api_keys` is true; the emailed notice ' +
        'lists them. You can repeat the request after a lost response: if the new password is already in force, the response is 204.',
      rateLimit: { group: 'login', counts: [InvalidCredentials, AccountLocked] },
      scopes: ['profile'],
      body: changePasswordRequest(deps.passwordPolicy),
      errors: [InvalidCredentials, AccountLocked, Overloaded],
      handle({ principal, body, request }) {
        const { current_password: currentPassword, new_password: newPassword, revoke_api_keys: revokesApiKeys } = body;
        return changePassword(principal, { currentPassword, newPassword, revokesApiKeys }, request);
      },
    }),
    endpoint({
      method: 'post',
      path: '/me/delete',
      operationId: 'deleteMe',
      tag: 'Accounts',
      summary: 'Delete your account and all its data',
      description:
        'If a repeated request returns 401 `invalid_access_token` after a lost response, the account is deleted.',
      rateLimit: { group: 'login', counts: [InvalidCredentials, AccountLocked] },
      scopes: ['profile'],
      body: DeleteMeRequest,
      errors: [InvalidCredentials, AccountLocked, LastAdmin, Overloaded],
      handle: ({ principal, body, request }) => deleteAccount(principal, body.current_password, request),
    }),
  ];
}
