#!/usr/bin/env python3
"""Checks that relative links in the Markdown files lead to files, and to headings, that exist.

Links of the rustdoc to pages of the repository are checked too: `concat!("[name]: ", env!("CARGO_PKG_REPOSITORY"),
"/blob/main/PAGE")`.
"""

import pathlib
import re
import subprocess
import sys

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PAGE = re.compile(r'env!\("CARGO_PKG_REPOSITORY"\),\s*"/blob/main/([^"]+)"')
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def anchors(text):
    """The names under which GitHub offers the headings of a page."""
    seen = {}
    names = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = seen.get(name, 0)
        seen[name] = count + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def read(pattern):
    """The texts of the repository's files of this kind, by their paths."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    files = [pathlib.Path(name) for name in subprocess.check_output(listed, text=True).splitlines()]
    return {file: file.read_text(encoding="utf-8") for file in files if file.exists()}


def main():
    texts = read("*.md")
    broken = []
    count = 0
    for page, text in texts.items():
        # A link may go on over the end of a line.
        prose = CODE.sub("", FENCE.sub("", text))
        for target in LINK.findall(re.sub(r"\n\s*", " ", prose)):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            if not file.exists():
                broken.append(f"{page}: {target}: there is no {file}")
            elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
                broken.append(f"{page}: {target}: there is no such heading")
    for file, text in read("*.rs").items():
        for target in PAGE.findall(text):
            count += 1
            if not pathlib.Path(target).exists():
                broken.append(f"{file}: there is no {target}")
    print("\n".join(broken) or f"{count} links of {len(texts)} pages lead somewhere")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
