import base from './jest.config.js';

/** Thousands of connections, refreshes and random steps: `npm run test:stress`. @type {import('jest').Config} */
export default {
  ...base,
  testMatch: ['<rootDir>/tests/**/*.stress.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
};
