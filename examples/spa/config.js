/** The URL of the service. The origin of this page must be on the same site and in the service's `CORS_ORIGINS`. */
export const service = 'http://localhost:3000';
