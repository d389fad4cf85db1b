import type { Database } from '../../platform/postgres.ts';
import { makeAdminRoles } from './admin-roles.ts';
import { adminRolesRoutes } from './admin-roles.route.ts';
import { makeAdminRolesStore } from './admin-roles.store.ts';

export const adminRoles = ({ db }: { db: Database }) => adminRolesRoutes(makeAdminRoles(makeAdminRolesStore(db)));
