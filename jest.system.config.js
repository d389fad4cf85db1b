import base from './jest.config.js';

/** The built service as processes: load, outages, races between processes and command lines: `npm run test:system`. @type {import('jest').Config} */
export default {
  ...base,
  testMatch: ['<rootDir>/tests/**/*.system.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
};
