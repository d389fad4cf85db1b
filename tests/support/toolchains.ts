// Programs of other languages, which a machine may not have.
import { spawnSync } from 'node:child_process';
import { findPython } from './python.ts';

/** Says which version it is: one that is there may still be no more than a link to what was never installed. */
const runs = (name: string): boolean =>
  name === 'python3'
    ? findPython() !== undefined
    : ['--version', 'version', '-v'].some((flag) => spawnSync(name, [flag], { stdio: 'ignore' }).status === 0);

/** The program that is missing here, or does not run, if one is. */
const missing = ({ needs }: { needs: readonly string[] }): string | undefined => needs.find((name) => !runs(name));

/** Those that can be run here, those that cannot, and a line for people of each of these. */
export function sortByToolchain<Tested extends { name: string; needs: readonly string[] }>(all: readonly Tested[]) {
  const lacks = new Map(all.map((one) => [one, missing(one)]));
  const here = all.filter((one) => lacks.get(one) === undefined);
  const absent = all.filter((one) => !here.includes(one));
  return { here, absent, notes: absent.map((one) => `NOT RUN: ${one.name}, as there is no ${lacks.get(one)} here`) };
}
