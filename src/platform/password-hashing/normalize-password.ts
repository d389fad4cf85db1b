/**
 * NIST SP 800-63B-4 section 3.1.1.2: "Verifiers SHALL verify the entire submitted password (e.g., not truncate it)."
 * NFC makes a password match that was typed on another system. NFKC would also merge different passwords, such as `ﬁ` and `fi`.
 */
export const normalizePassword = (password: string): string => password.normalize('NFC');

/**
 * The texts that another system may have hashed when a user typed this password: normalized, as typed, or in another normalization
 * form. One text if the password is ASCII, never more than five.
 */
export const passwordForms = (password: string): string[] => {
  const others = (['NFD', 'NFKC', 'NFKD'] as const).map((form) => password.normalize(form));
  return [...new Set([normalizePassword(password), password, ...others])];
};
