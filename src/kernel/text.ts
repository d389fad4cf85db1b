/** Characters as people that count them mean it, near enough: code points, not UTF-16 units (NIST SP 800-63B-4 section 3.1.1.2). */
export const countCodePoints = (text: string): number => Array.from(text).length;
