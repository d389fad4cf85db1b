/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/tests'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  // test:browser requires a browser, test:interop and test:clients other languages, and test:image a minute to build.
  testPathIgnorePatterns: [
    '/node_modules/',
    '/tests/browser/',
    '/tests/interop/',
    '/tests/clients/',
    '/tests/image/image\\.test',
  ],
  globalSetup: '<rootDir>/tests/support/global-setup.ts',
  globalTeardown: '<rootDir>/tests/support/global-teardown.ts',
  collectCoverageFrom: ['src/**/*.ts', '!src/generated/**', '!src/main.ts'],
  coverageProvider: 'v8',
  testTimeout: 30_000,
};
