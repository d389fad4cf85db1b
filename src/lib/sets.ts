/** The members of `some` that are not in `others`. */
export const difference = (some: readonly string[], others: readonly string[]): string[] =>
  some.filter((member) => !others.includes(member));

/** Sorted, without duplicates. */
export const sortedUnique = (members: readonly string[]): string[] => [...new Set(members)].toSorted();
