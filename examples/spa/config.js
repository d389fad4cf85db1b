/** Where the service is. This page's origin must stand in its `CORS_ORIGINS`, and be of the same site. */
export const service = 'http://localhost:3000';
