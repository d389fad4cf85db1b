import base from './jest.config.js';

/** `npm run test:interop` tests the programs in examples/verify. @type {import('jest').Config} */
export default {
  ...base,
  roots: ['<rootDir>/tests/interop'],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 60_000,
  // A program that fails to start can leave handles open.
  forceExit: true,
};
