// Superseded by sessions.sql.ts and fragments.sql.ts; goes when the last caller imports from there.
export { revokeSession, revokeSessionsOf, type RevokedReason } from './sessions.sql.ts';
export { isLiveSession as isLive } from '../authorization/fragments.sql.ts';
