// How helpers name rows: by id, or by any response of the service that contains the id.

export type UserRef = string | { user: { id: string } };
export type SessionRef = string | { session_id: string };
export type ApiKeyRef = string | { id: string };

export const userIdOf = (ref: UserRef): string => (typeof ref === 'string' ? ref : ref.user.id);
export const sessionIdOf = (ref: SessionRef): string => (typeof ref === 'string' ? ref : ref.session_id);
export const apiKeyIdOf = (ref: ApiKeyRef): string => (typeof ref === 'string' ? ref : ref.id);
