/** A table of the responses of each verifier, which `npm run test:interop` prints at the end. */
export function makeResultTable() {
  const rows = new Map<string, Map<string, string>>();
  const notes: string[] = [];
  return {
    record(row: string, column: string, results: readonly (number | string)[], isCorrect: boolean) {
      const cells = rows.get(row) ?? new Map<string, string>();
      cells.set(column, `${[...new Set(results)].join('/')}${isCorrect ? '' : ' WRONG'}`);
      rows.set(row, cells);
    },
    note: (line: string) => void notes.push(line),
    print(columns: readonly string[]) {
      const width = Math.max(...[...rows.keys()].map((row) => row.length));
      const lines = [...rows].map(([row, cells]) =>
        [row.padEnd(width), ...columns.map((column) => (cells.get(column) ?? 'not run').padEnd(column.length))].join(
          ' | ',
        ),
      );
      process.stdout.write(
        `\n${[''.padEnd(width), ...columns].join(' | ')}\n${lines.join('\n')}\n\n${notes.join('\n')}\n\n`,
      );
    },
  };
}
