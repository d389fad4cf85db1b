// `@jest/globals` for modules that Node loads: delegates to the jest-circus of the test file that runs.

/** @type {Record<string, any>} */
let globals = {};

/** @param {Record<string, any>} current */
export const useGlobals = (current) => {
  globals = current;
};

/** @param {string} name */
const delegate = (name) =>
  new Proxy(() => {}, {
    apply: (_target, _self, args) => globals[name](...args),
    get: (_target, key) => globals[name][key],
  });

export const [describe, test, it, beforeAll, beforeEach, afterAll, afterEach, expect] = [
  'describe',
  'test',
  'it',
  'beforeAll',
  'beforeEach',
  'afterAll',
  'afterEach',
  'expect',
].map(delegate);

export const jest = {
  /** @param {number} ms */
  setTimeout(ms) {
    globalThis[Symbol.for('TEST_TIMEOUT_SYMBOL')] = ms;
    return jest;
  },
};
