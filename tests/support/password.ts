/** The password of every account that tests create. */
export const password = 'correct horse battery staple';
