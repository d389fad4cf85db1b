import base from './jest.config.js';

/** The programs of examples/verify, each in its own language: `npm run test:interop`. @type {import('jest').Config} */
export default {
  ...base,
  roots: ['<rootDir>/tests/interop'],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 60_000,
  // What a program of another language leaves open when it fails to start must not keep a run from ending.
  forceExit: true,
};
