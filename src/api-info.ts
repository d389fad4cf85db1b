export const apiInfo = {
  title: 'Keyturn',
  version: '0.1.0',
  description:
    'Sign-in for single-page apps, mobile apps and the services behind them: 15-minute access JWTs that any service ' +
    'verifies by the JWKS, and 30-day refresh tokens that are rotated at every use.',
  tags: [
    { name: 'Accounts', description: 'Your own account' },
    { name: 'Sessions', description: 'Logging in, staying logged in, logging out' },
    { name: 'API keys', description: 'Credentials of programs that act for you' },
    { name: 'OAuth 2', description: 'Tokens for clients that speak OAuth' },
    { name: 'Administration', description: 'For administrators: accounts, roles, signing keys and the audit trail' },
    { name: 'Discovery', description: 'What verifiers need to know' },
    { name: 'Operations', description: 'For the operator and for tools' },
  ],
} as const;
