/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  // Tests spend as much time waiting for Postgres, processes and timers as computing.
  maxWorkers: 2,
  // Replaces workers that use more memory.
  workerIdleMemoryLimit: '1GB',
  testRunner: '<rootDir>/tests/support/jest/runner.js',
  roots: ['<rootDir>/tests'],
  transform: {},
  // test:browser requires a browser, test:interop and test:clients other languages, test:system five minutes, and test:image one.
  testPathIgnorePatterns: [
    '/node_modules/',
    '/tests/browser/',
    '/tests/interop/',
    '/tests/clients/',
    '/tests/image/image\\.test',
    '\\.system\\.test',
  ],
  globalSetup: '<rootDir>/tests/support/jest/global-setup.js',
  globalTeardown: '<rootDir>/tests/support/jest/global-teardown.js',
  collectCoverageFrom: ['src/**/*.ts', '!src/generated/**', '!src/main.ts'],
  coverageProvider: 'v8',
  testTimeout: 30_000,
};
