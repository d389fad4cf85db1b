// Runs a test file with jest-circus, as jest does, but imports it with Node itself instead of in a `vm` context. Each worker then loads
// src/ and node_modules once, not once per file: jest evaluates them again for each file and never frees them, which costs 3 s
// and 70 MB a file. Files in tests/ are still evaluated again for each test file.
import { createRequire, register } from 'node:module';
import { pathToFileURL } from 'node:url';
import { useGlobals } from './globals.js';

const require = createRequire(import.meta.url);
// jest-circus exports the adapter only as a part of its own runner, which needs a `vm` context.
const adapterPath = require.resolve('jest-circus/runner').replace(/runner\.js$/, 'jestAdapterInit.js');
const eventHandlers = Symbol.for('EVENT_HANDLERS');
const testTimeout = Symbol.for('TEST_TIMEOUT_SYMBOL');

let runs = 0;

/**
 * @type {(
 *   globalConfig: import('@jest/types').Config.GlobalConfig,
 *   config: import('@jest/types').Config.ProjectConfig,
 *   environment: import('@jest/environment').JestEnvironment,
 *   runtime: object,
 *   testPath: string,
 *   sendMessageToJest?: import('@jest/test-result').TestFileEvent,
 * ) => Promise<import('@jest/test-result').TestResult>}
 */
export default async function runTestFile(globalConfig, config, environment, runtime, testPath, sendMessageToJest) {
  runs += 1;
  if (runs === 1) {
    register('./hooks.js', import.meta.url);
    process.setSourceMapsEnabled(true);
  }
  delete Error.prepareStackTrace; // jest's, which does not know the source maps of modules that Node loads

  // A new copy of jest-circus, because it keeps its tests and handlers in module variables.
  delete require.cache[adapterPath];
  delete globalThis[eventHandlers];
  delete globalThis[testTimeout];
  const { initialize, runAndTransformResultsToJestFormat } = require(adapterPath);
  await initialize({
    config,
    environment,
    globalConfig,
    localRequire: require,
    parentProcess: process,
    runtime,
    sendMessageToJest,
    setGlobalsForRuntime: useGlobals,
    testPath,
  });
  await import(`${pathToFileURL(testPath).href}?run=${runs}`);
  const now = Date.now();
  return runAndTransformResultsToJestFormat({
    config,
    globalConfig,
    setupAfterEnvPerfStats: { setupAfterEnvStart: now, setupAfterEnvEnd: now },
    testPath,
  });
}
