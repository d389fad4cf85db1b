// Detects the toolchains of other languages.
import { spawnSync } from 'node:child_process';
import { findPython } from './python.ts';

/** Runs the program, because an existing file can be a shim for a toolchain that is not installed. */
const isInstalled = (program: string): boolean =>
  program === 'python3'
    ? findPython() !== undefined
    : ['--version', 'version', '-v'].some((flag) => spawnSync(program, [flag], { stdio: 'ignore' }).status === 0);

interface Subject {
  name: string;
  requires: readonly string[];
}

/** Returns the subjects whose toolchains are installed, the others, and a message for each of the others. */
export function partitionByToolchain<S extends Subject>(subjects: readonly S[]) {
  const missing = new Map(subjects.map((subject) => [subject, subject.requires.find((name) => !isInstalled(name))]));
  const available = subjects.filter((subject) => missing.get(subject) === undefined);
  const unavailable = subjects.filter((subject) => missing.get(subject) !== undefined);
  const notes = unavailable.map((subject) => `NOT RUN: ${subject.name}, because ${missing.get(subject)} is missing`);
  return { available, unavailable, notes };
}
