/** A page of a list. `next` is the last row if more rows follow; the next page begins after it. */
export interface Page<Row> {
  rows: Row[];
  next: Row | undefined;
}

/** Makes a page of rows that were read with a limit of `limit + 1`. */
export const toPage = <Row>(rows: readonly Row[], limit: number): Page<Row> => ({
  rows: rows.slice(0, limit),
  next: rows.length > limit ? rows[limit - 1] : undefined,
});
