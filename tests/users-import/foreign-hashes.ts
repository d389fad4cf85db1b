// Password hashes from other systems, with their passwords. Each names the program and the call that created it.

export interface Brought {
  madeBy: string;
  hash: string;
  password: string;
  /** The stored form, if it differs from `hash`. */
  stored?: string;
}

const password = 'Pässwort: correct horse';

// Firebase's own example, https://github.com/firebase/scrypt: signer key, salt separator, rounds 8, memory cost 14.
const firebaseProject =
  'ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==';

export const foreignHashes: Brought[] = [
  {
    madeBy: 'argon2-cffi 25.1.0, PasswordHasher().hash(password)',
    password,
    hash: '$argon2id$v=19$m=65536,t=3,p=4$CrMlpeHCgl2HkrjEUO8gHg$Z/3zA2CXpuDnhEZHd8QHoM7IhUPqvCFDf1QrUElhBsQ',
    stored: 'argon2$argon2id$v=19$m=65536,t=3,p=4$CrMlpeHCgl2HkrjEUO8gHg$Z/3zA2CXpuDnhEZHd8QHoM7IhUPqvCFDf1QrUElhBsQ',
  },
  {
    madeBy: 'bcrypt 5.0.0 of PyPI, hashpw(password, gensalt(10))',
    password,
    hash: '$2b$10$vuAkiDv5GVsOCXnWVt453.g9.XA5z7bKoDrJemOgu6H9Ix5dKtQCu',
  },
  {
    madeBy: 'bcrypt 5.0.0 of PyPI, hashpw(password, gensalt(10, prefix=b"2a"))',
    password,
    hash: '$2a$10$fyUB4o.S5aUpHe//zajEwOQMWQOMsPTLZ/jFXSO6XkB.L5JTRgaXW',
  },
  {
    madeBy: 'passlib 1.7.4, scrypt.using(rounds=14, block_size=8, parallelism=1).hash(password)',
    password,
    hash: '$scrypt$ln=14,r=8,p=1$wBijNOa8l5ISIsQ4x/h/Lw$XFCscgTuEIBQ17nkuil+DA76ruMJMMH1XunnUHSygII',
  },
  {
    madeBy: 'passlib 1.7.4, scrypt.using(rounds=4, block_size=8, parallelism=2).hash(password)',
    password,
    hash: '$scrypt$ln=4,r=8,p=2$LEVIiRHinDMGoFQqpTRmDA$k+UyOZgVjJMWq8zU1O5N1qIRgK/W1UEnVnFvxe++4yk',
  },
  {
    madeBy: 'passlib 1.7.4, pbkdf2_sha256.hash(password)',
    password,
    hash: '$pbkdf2-sha256$29000$oPSekzLmnLMWAqDUWmvt3Q$0AdlxTSDCFT1QTA8YJlUcaBYFokM.hIS57KqyjNDJ.Q',
    stored: '$pbkdf2-sha256$i=29000$oPSekzLmnLMWAqDUWmvt3Q$0AdlxTSDCFT1QTA8YJlUcaBYFokM+hIS57KqyjNDJ+Q',
  },
  {
    madeBy: 'passlib 1.7.4, pbkdf2_sha512.hash(password)',
    password,
    hash: '$pbkdf2-sha512$25000$LoWQEoLQem9tTWktBYAQAg$TRqqIHGf1YFmTTGfmr1.iWag4zsvS.oBZrgLndjFm1ckyf5y1qiW9vQVxIXUhlarba5BKnuYV0f6inUKsTJfyA',
    stored:
      '$pbkdf2-sha512$i=25000$LoWQEoLQem9tTWktBYAQAg$TRqqIHGf1YFmTTGfmr1+iWag4zsvS+oBZrgLndjFm1ckyf5y1qiW9vQVxIXUhlarba5BKnuYV0f6inUKsTJfyA',
  },
  {
    madeBy: 'Firebase, the example of https://github.com/firebase/scrypt',
    password: 'user1password',
    hash: `$fbscrypt$v=1,n=14,r=8,p=1,${firebaseProject}$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==`,
  },
  {
    madeBy: "Firebase, the example in the tests of Supabase's auth server, in the form that Supabase gives it",
    password: 'mytestpassword',
    hash: '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw==$C0sHCg9ek77hsg==$zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+CfEFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw==',
  },
  // Django 5.2.19, make_password(password, hasher=…)
  {
    madeBy: 'Django 5.2.19, make_password(password, hasher="pbkdf2_sha256")',
    password,
    hash: 'pbkdf2_sha256$1000000$NKGpz8hgHpjUJp86hc6mvi$IP8SlqrRXQaN3F8Aur0qrTPSmzblhCHiLhJcvZ9ddAo=',
    stored: '$pbkdf2-sha256$i=1000000$TktHcHo4aGdIcGpVSnA4NmhjNm12aQ$IP8SlqrRXQaN3F8Aur0qrTPSmzblhCHiLhJcvZ9ddAo',
  },
  {
    madeBy: 'Django 5.2.19, make_password(password, hasher="pbkdf2_sha1")',
    password,
    hash: 'pbkdf2_sha1$1000000$RDVVziieFL5HZQtv2zeEUi$cNOK53oC0dFwq/2EmnXlIwGQ5D0=',
    stored: '$pbkdf2-sha1$i=1000000$UkRWVnppaWVGTDVIWlF0djJ6ZUVVaQ$cNOK53oC0dFwq/2EmnXlIwGQ5D0',
  },
  {
    madeBy: 'Django 5.2.19, make_password(password, hasher="argon2")',
    password,
    hash: 'argon2$argon2id$v=19$m=102400,t=2,p=8$RXBzOFBjdEVaT2x6Njk3aHhKUXFReA$QPgkmDE5ZRMuR1OB0T8xlkg1Aex/w9ttLCLfYyhwcbE',
  },
  {
    madeBy: 'Django 5.2.19, make_password(password, hasher="bcrypt_sha256")',
    password,
    hash: 'bcrypt_sha256$$2b$12$faO.zn68se1UQG/K4BvlCOPlT.dUJfMqbYppyDRHrcZk4zACcV9/a',
  },
  {
    madeBy: 'Django 5.2.19, make_password(password, hasher="bcrypt")',
    password,
    hash: 'bcrypt$$2b$12$FmzbMrmcPCFqCV07cIgYxOKse5KP3xQQa22mG4Pexy6gvKAqo9PJu',
    stored: '$2b$12$FmzbMrmcPCFqCV07cIgYxOKse5KP3xQQa22mG4Pexy6gvKAqo9PJu',
  },
  {
    madeBy: 'Django 5.2.19, make_password(password, hasher="scrypt")',
    password,
    hash: 'scrypt$16384$Nu3CZdjWB5qmmToOImTY0g$8$5$hcsXPJbrSshlJAD9JrGGGqAuyaDkH86XpYsKr8bU9oD06RVmdOxIpM3yoZApY2+FbbCs6Z/aNiC6hQK26dQybA==',
    stored:
      '$scrypt$ln=14,r=8,p=5$TnUzQ1pkaldCNXFtbVRvT0ltVFkwZw$hcsXPJbrSshlJAD9JrGGGqAuyaDkH86XpYsKr8bU9oD06RVmdOxIpM3yoZApY2+FbbCs6Z/aNiC6hQK26dQybA',
  },
  // Keycloak 26.0.7: its provider classes, of Maven Central's keycloak-server-spi-private and keycloak-crypto-default.
  {
    madeBy:
      'Keycloak 26.0.7, Pbkdf2Sha512PasswordHashProviderFactory, 210,000 iterations, as examples/migrate writes it',
    password,
    hash: '$pbkdf2-sha512$i=210000$rMoImccdj1ByaH5i++gaEQ==$Haz7nnIIeH/dFasA61VtDRlVcht6E3rogSbSN6CfptztouEbgnwHhObD6+dGvWLqfT/zZ465krboDY1kPMLq1w==',
    stored:
      '$pbkdf2-sha512$i=210000$rMoImccdj1ByaH5i++gaEQ$Haz7nnIIeH/dFasA61VtDRlVcht6E3rogSbSN6CfptztouEbgnwHhObD6+dGvWLqfT/zZ465krboDY1kPMLq1w',
  },
  {
    madeBy: 'Keycloak 26.0.7, Pbkdf2Sha256PasswordHashProviderFactory, 600,000 iterations',
    password,
    hash: '$pbkdf2-sha256$i=600000$gWxZ+eOu/aJ5S0Fb0/lDgQ$35BoLFZZVXwd6XEotm6++gTFXJ60pIEBjTZRCtpH0d8',
  },
  {
    madeBy:
      'Keycloak 26.0.7, Pbkdf2PasswordHashProvider with 27,500 iterations and 64 bytes, as older releases made it',
    password,
    hash: '$pbkdf2-sha256$i=27500$BwISnUi+uxYBJx704j/6IA$YMoJR6RDFPTNed7LIE1ObP0ZqhaekqmGa1pcIhBzh7Md+Uc+/QKVs9AZ+TraU1t30BY8uRNGQbiUc73SiwybDQ',
  },
  {
    madeBy: 'Keycloak 26.0.7, Pbkdf2PasswordHashProviderFactory, SHA-1 with 1,300,000 iterations',
    password,
    hash: '$pbkdf2-sha1$i=1300000$7CZ4SDKiB8rb8Fgow32vUw$w8mcVDKYmsflX/91+pXVTzKHh0DmnbbJ3vvgq3mBGeVtjrchozPXsqj7EqyjW4EBvcLxgXbAY0k4XWKlezTSog',
  },
  {
    madeBy: 'Keycloak 26.0.7, Argon2PasswordHashProvider',
    password,
    hash: '$argon2id$v=19$m=7168,t=5,p=5$VBYK/rXahuZ37UEon11+sg$ZGgWs9K50piyyH1m5SThGwr0DAf0Wky88UYu6FudXPU',
    stored: 'argon2$argon2id$v=19$m=7168,t=5,p=5$VBYK/rXahuZ37UEon11+sg$ZGgWs9K50piyyH1m5SThGwr0DAf0Wky88UYu6FudXPU',
  },
  // The examples of Spring Security's reference documentation, section "Password Storage".
  {
    madeBy: 'Spring Security, {bcrypt}',
    password: 'password',
    hash: '{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG',
    stored: '$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG',
  },
  {
    madeBy: 'Spring Security, {pbkdf2}',
    password: 'password',
    hash: '{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc',
    stored: '$pbkdf2-sha1$i=185000$XZI7RKbRKfM$3fPjyNKUEnI9y95yRF6O9r87UI+/F/pO1Na5nKdj2Nw',
  },
  {
    madeBy: 'Spring Security, {scrypt}',
    password: 'password',
    hash: '{scrypt}$e0801$8bWJaSu2IKSn9Z9kM+TPXfOc/9bdYSrN1oD9qfVThWEwdRTnO7re7Ei+fUZRJ68k9lTyuTeUp4of4g24hHnazw==$OAOec05+bXxvuu/1qZ6NUR+xQYvYv7BeL1QxwRpY5Pc=',
    stored:
      '$scrypt$ln=14,r=8,p=1$8bWJaSu2IKSn9Z9kM+TPXfOc/9bdYSrN1oD9qfVThWEwdRTnO7re7Ei+fUZRJ68k9lTyuTeUp4of4g24hHnazw$OAOec05+bXxvuu/1qZ6NUR+xQYvYv7BeL1QxwRpY5Pc',
  },
  {
    madeBy: 'Keycloak 26.0.7, Argon2PasswordHashProvider, with the prefix of Spring Security',
    password,
    hash: '{argon2}$argon2id$v=19$m=7168,t=5,p=5$VBYK/rXahuZ37UEon11+sg$ZGgWs9K50piyyH1m5SThGwr0DAf0Wky88UYu6FudXPU',
    stored: 'argon2$argon2id$v=19$m=7168,t=5,p=5$VBYK/rXahuZ37UEon11+sg$ZGgWs9K50piyyH1m5SThGwr0DAf0Wky88UYu6FudXPU',
  },
  {
    madeBy: 'passlib, pbkdf2_sha1, the example of its tests',
    password: 'password',
    hash: '$pbkdf2$1212$OB.dtnSEXZK8U5cgxU/GYQ$y5LKPOplRmok7CZp/aqVDVg8zGI',
    stored: '$pbkdf2-sha1$i=1212$OB+dtnSEXZK8U5cgxU/GYQ$y5LKPOplRmok7CZp/aqVDVg8zGI',
  },
];
