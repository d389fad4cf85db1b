export const apiInfo = {
  title: 'Keyturn',
  version: '0.1.0',
  description:
    'Authentication for single-page apps, mobile apps and the services behind them. Logins return a 15-minute access token, a ' +
    'JWT that any service can verify with the JWKS, and a 30-day refresh token that is rotated at every use.',
  tags: [
    { name: 'Accounts', description: 'Register, and manage your own account' },
    { name: 'Sessions', description: 'Log in, refresh tokens and log out' },
    { name: 'API keys', description: 'Credentials for programs that act on your behalf' },
    { name: 'OAuth 2', description: 'Tokens for OAuth clients' },
    { name: 'Administration', description: 'Manage users, roles, signing keys and the audit trail' },
    { name: 'Discovery', description: 'Metadata and keys for verifiers' },
    { name: 'Operations', description: 'Health checks and documentation' },
  ],
} as const;
